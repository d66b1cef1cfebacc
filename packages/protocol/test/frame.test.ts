import {
  decodeFrame,
  encodeFrame,
  isReply,
  type Kind,
  MAX_BODY,
  MAX_PAYLOAD,
  type Messages,
  negotiate,
  PREFIX_BYTES,
  ProtocolError,
  type ProtocolReason,
  REPLIES
} from "@swarm/protocol"
import { assert, describe, it } from "vitest"
import { samples } from "./samples.ts"

const kinds = Object.keys(samples) as ReadonlyArray<Kind>
const bytesOf = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i * 7)

/** `bytes` at an address that is `offset` more than a multiple of 8. */
const at = (bytes: Uint8Array, offset: number): Uint8Array => {
  const moved = new Uint8Array(bytes.length + 8).subarray(offset, offset + bytes.length)
  moved.set(bytes)
  return moved
}

export const reasonOf = (run: () => unknown): ProtocolReason | "none" => {
  try {
    run()
    return "none"
  } catch (error) {
    assert.instanceOf(error, ProtocolError)
    return (error as ProtocolError).reason
  }
}

describe("encodeFrame and decodeFrame", () => {
  for (const kind of kinds) {
    it(`keep a ${kind}`, () => {
      const frame = decodeFrame(encodeFrame(kind, 7, samples[kind], bytesOf(13)))
      assert.deepStrictEqual(frame.kind, kind)
      assert.strictEqual(frame.request, 7)
      assert.deepStrictEqual(frame.body, samples[kind])
      assert.deepStrictEqual(frame.payload, bytesOf(13))
    })
  }

  it("read bytes made by other software, ignoring a field they do not know", () => {
    // made with Python's struct and zlib.crc32: {"session": "s-1", "extra": 1}, request 5, payload 1 2 3
    const hex = "5357524ddaef1dce0213000005000000140000000300000082a773657373696f6ea3732d31a565787472610100000000010203"
    const frame = decodeFrame(Buffer.from(hex, "hex"))
    assert.deepStrictEqual(
      { ...frame, payload: [...frame.payload] },
      { kind: "close", request: 5, body: { session: "s-1" }, payload: [1, 2, 3] }
    )
  })

  it("read rows made by other software", () => {
    // made with Python's struct and zlib.crc32: epoch 7, position 300, 2 tokens, f16, the last row, session "s-é"
    const hex =
      "5357524d608f9468020f0000000000001400000004000000070000002c0100000200000001010400732dc3a90000000001020304"
    const frame = decodeFrame(Buffer.from(hex, "hex"))
    const body = { session: "s-é", epoch: 7, position: 300, tokens: 2, codec: "f16", want: "last" } as const
    assert.deepStrictEqual(
      { ...frame, payload: [...frame.payload] },
      { kind: "step", request: 0, body, payload: [1, 2, 3, 4] }
    )
  })

  it("give an aligned payload whatever the carrier's alignment, and copy only if they must", () => {
    const bytes = encodeFrame("step", 0, samples.step, bytesOf(64))
    for (let offset = 0; offset < 8; offset++) {
      const moved = at(bytes, offset)
      const { payload } = decodeFrame(moved)
      assert.strictEqual(payload.byteOffset % 8, 0)
      assert.deepStrictEqual(payload, bytesOf(64))
      assert.strictEqual(payload.buffer === moved.buffer, offset === 0)
      new Float64Array(payload.buffer, payload.byteOffset, 8)
    }
  })

  it("never give a Buffer as payload, nor memory beyond it when they copy", () => {
    const { payload } = decodeFrame(Buffer.from(at(encodeFrame("step", 0, samples.step, bytesOf(16)), 0)).subarray(0))
    assert.strictEqual(Object.getPrototypeOf(payload), Uint8Array.prototype)
  })

  it("join the parts of a payload, and let a writer fill it in place", () => {
    const whole = encodeFrame("output", 0, samples.output, bytesOf(24))
    const parts = encodeFrame("output", 0, samples.output, [bytesOf(24).subarray(0, 10), bytesOf(24).subarray(10)])
    let offset = -1
    const written = encodeFrame("output", 0, samples.output, {
      bytes: 24,
      write: (out) => {
        offset = out.byteOffset
        assert.strictEqual(out.length, 24)
        out.set(bytesOf(24))
      }
    })
    assert.deepStrictEqual(parts, whole)
    assert.deepStrictEqual(written, whole)
    assert.strictEqual(offset % 8, 0)
  })

  it("carry the greatest payload and the greatest answer of a directory", () => {
    const payload = new Uint8Array(MAX_PAYLOAD).fill(5)
    assert.strictEqual(decodeFrame(encodeFrame("step", 0, samples.step, payload)).payload.length, MAX_PAYLOAD)
    const announcements = Array.from({ length: 1024 }, () => ({ record: bytesOf(900), age: 1 }))
    assert.deepStrictEqual(decodeFrame(encodeFrame("found", 1, { announcements })).body, { announcements })
  })

  it("cut a long detail of a fault instead of refusing it", () => {
    const frame = decodeFrame(encodeFrame("fault", 1, { kind: "never", code: "engine", detail: "x".repeat(1e6) }))
    assert.strictEqual(frame.kind === "fault" && frame.body.detail.length, 2048)
  })
})

describe("encodeFrame refuses", () => {
  const refused: ReadonlyArray<readonly [string, new (m?: string) => Error, () => unknown]> = [
    ["a request number that is no u32", RangeError, () => encodeFrame("ping", 2 ** 32, { nonce: 1 })],
    ["a negative request number", RangeError, () => encodeFrame("ping", -1, { nonce: 1 })],
    ["too long a payload", RangeError, () => encodeFrame("step", 0, samples.step, new Uint8Array(MAX_PAYLOAD + 1))],
    ["a payload of NaN bytes", RangeError, () => encodeFrame("step", 0, samples.step, { bytes: NaN, write: () => {} })],
    [
      "a payload of half bytes",
      RangeError,
      () => encodeFrame("step", 0, samples.step, { bytes: 1.5, write: () => {} })
    ],
    ["a body that nobody would take", TypeError, () => encodeFrame("ping", 1, { nonce: Number.NaN })],
    ["a body beyond its limit", RangeError, () => encodeFrame("found", 1, { announcements: big })]
  ]
  const big = Array.from({ length: 1024 }, () => ({ record: bytesOf(1024), age: 0 }))
  for (const [what, type, run] of refused) it(what, () => assert.throws(run, type))
})

describe("decodeFrame refuses", () => {
  const good = encodeFrame("step", 9, samples.step, bytesOf(32))
  const changed = (change: (view: DataView) => void): Uint8Array => {
    const bytes = good.slice()
    change(new DataView(bytes.buffer))
    return bytes
  }
  const refused: ReadonlyArray<readonly [string, ProtocolReason, Uint8Array]> = [
    ["nothing", "length", new Uint8Array(0)],
    ["half a prefix", "length", good.slice(0, PREFIX_BYTES - 1)],
    ["another magic", "magic", changed((v) => v.setUint32(0, 0))],
    ["another version", "version", changed((v) => v.setUint8(8, 1))],
    ["a huge body, before it allocates", "limit", changed((v) => v.setUint32(16, MAX_BODY + 1, true))],
    ["a huge payload, before it allocates", "limit", changed((v) => v.setUint32(20, 0xffff_ffff, true))],
    ["a frame cut short", "length", good.slice(0, -1)],
    ["bytes behind the frame", "length", Uint8Array.from([...good, 0])],
    ["a changed byte", "checksum", changed((v) => v.setUint8(good.length - 1, 0xff))]
  ]
  for (const [what, reason, bytes] of refused) {
    it(what, () =>
      assert.strictEqual(
        reasonOf(() => decodeFrame(bytes)),
        reason
      )
    )
  }
})

describe("versions and replies", () => {
  it("agree on the newest common version", () => {
    assert.strictEqual(negotiate([1, 2, 3], [5, 2, 1]), 2)
    assert.isUndefined(negotiate([1], [2, 3]))
    assert.isUndefined(negotiate([1], []))
  })

  it("every reply is told from a request by its kind", () => {
    for (const [request, reply] of Object.entries(REPLIES) as ReadonlyArray<[keyof Messages, Kind]>) {
      assert.isFalse(isReply(request))
      assert.isTrue(isReply(reply))
    }
    assert.isTrue(isReply("fault"))
    assert.isFalse(isReply("step"))
  })
})
