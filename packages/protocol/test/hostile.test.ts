import { crc32 } from "node:zlib"
import {
  decodeFrame,
  encodeFrame,
  FRAME_VERSION,
  type Frame,
  type Kind,
  MAX_BODY,
  ProtocolError
} from "@swarm/protocol"
import { assert, describe, it } from "vitest"
import { announcement, samples } from "./samples.ts"

/** Numbers of [0, n) that are the same in each run. */
const makeRandom = (seed: number) => {
  let state = seed
  return (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

/** A frame of `kind` with these bytes as body and a right checksum: what an attacker can send. */
const forge = (kind: number, body: Uint8Array, payload = new Uint8Array(0)): Uint8Array => {
  const start = 24 + Math.ceil(body.length / 8) * 8
  const frame = new Uint8Array(start + payload.length)
  const view = new DataView(frame.buffer)
  frame.set([0x53, 0x57, 0x52, 0x4d, 0, 0, 0, 0, FRAME_VERSION, kind])
  view.setUint32(16, body.length, true)
  view.setUint32(20, payload.length, true)
  frame.set(body, 24)
  frame.set(payload, start)
  return sign(frame)
}
const sign = (frame: Uint8Array): Uint8Array => {
  if (frame.length >= 24) {
    new DataView(frame.buffer).setUint32(4, crc32(frame.subarray(8)), true)
  }
  return frame
}

const PING = 4
const FIND = 8
const FOUND = 9
const STEP = 15

/** A body of rows: epoch 1, position 2, three tokens, then what is given. */
const rowsBody = (...rest: ReadonlyArray<number>) => [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, ...rest]

/** The frame, or undefined for a ProtocolError; anything else is thrown on. */
const tryDecode = (bytes: Uint8Array): Frame | undefined => {
  try {
    return decodeFrame(bytes)
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

const text = (s: string): Array<number> => [0xa0 + s.length, ...Buffer.from(s)]

describe("hostile bodies", () => {
  const attacks: ReadonlyArray<readonly [string, number, ReadonlyArray<number>]> = [
    ["an empty body", PING, []],
    ["no map", PING, [0x01]],
    ["nil", PING, [0xc0]],
    ["an array for a map", PING, [0x90]],
    ["a map of four thousand million entries", PING, [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ["an array of four thousand million", FOUND, [0x81, ...text("announcements"), 0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["a string of four thousand million", FIND, [0x81, ...text("model"), 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ["bytes for a string", FIND, [0x81, ...text("model"), 0xc4, 1, 0x61]],
    ["an extension", FIND, [0x81, ...text("model"), 0xd4, 0x72, 0x40]],
    ["a record definition", FIND, [0xd4, 0x72, 0x40, 0x91, ...text("model"), 0x40, ...text("a")]],
    ["a timestamp", FIND, [0x81, ...text("model"), 0xd6, 0xff, 0, 0, 0, 0]],
    ["a regular expression", FIND, [0x81, ...text("model"), 0xc7, 4, 0x78, 0x92, 0xa1, 0x28, 0xa0]],
    ["the type that is never used", FIND, [0x81, ...text("model"), 0xc1]],
    ["a number for a key", FIND, [0x81, 0x01, ...text("a")]],
    ["a map for a key", FIND, [0x81, 0x80, ...text("a")]],
    ["a map without its last value", FIND, [0x81, ...text("model")]],
    ["bytes behind the body", FIND, [0x81, ...text("model"), ...text("a"), 0xc0]],
    ["a number that is not finite", PING, [0x81, ...text("nonce"), 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]],
    ["NaN", PING, [0x81, ...text("nonce"), 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]],
    ["an integer beyond 2^53", PING, [0x81, ...text("nonce"), 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["no rows", STEP, []],
    ["rows cut short", STEP, rowsBody(1, 1, 0)],
    ["rows of nobody", STEP, rowsBody(1, 1, 0, 0)],
    ["rows whose session is longer than the body", STEP, rowsBody(1, 1, 2, 0, 0x61)],
    ["rows whose session is shorter than the body", STEP, rowsBody(1, 1, 1, 0, 0x61, 0x61)],
    ["rows of an unknown codec", STEP, rowsBody(200, 1, 1, 0, 0x61)],
    ["rows that somebody wants otherwise", STEP, rowsBody(1, 2, 1, 0, 0x61)],
    ["rows as a map", STEP, [0x81, ...text("session"), ...text("a")]],
    ["ten thousand levels", FOUND, [0x81, ...text("announcements"), ...Array<number>(10_000).fill(0x91), 0xc0]],
    [
      "a hundred thousand maps",
      FOUND,
      [0x81, ...text("announcements"), 0xdd, 0, 1, 0x86, 0xa0, ...Array<number>(1e5).fill(0x80)]
    ]
  ]
  for (const [what, kind, body] of attacks) {
    it(`are refused: ${what}`, () => assert.isUndefined(tryDecode(forge(kind, Uint8Array.from(body)))))
  }

  it("are those of the bodies above: without the attack they are read", () => {
    assert.deepStrictEqual(tryDecode(forge(STEP, Uint8Array.from(rowsBody(1, 1, 1, 0, 0x61))))?.body, {
      session: "a",
      epoch: 1,
      position: 2,
      tokens: 3,
      codec: "f16",
      want: "last"
    })
    assert.deepStrictEqual(tryDecode(forge(FIND, Uint8Array.from([0x81, ...text("model"), ...text("m")])))?.body, {
      model: "m"
    })
  })

  it("cannot reach a prototype", () => {
    const evil = [0x81, ...text("polluted"), 0xc3]
    const body = [0x83, ...text("model"), ...text("m"), ...text("__proto__"), ...evil, ...text("constructor"), ...evil]
    const frame = tryDecode(forge(FIND, Uint8Array.from(body)))
    assert.deepStrictEqual(frame?.body, { model: "m" })
    assert.isFalse("polluted" in {})
    assert.isUndefined(
      tryDecode(forge(FIND, Uint8Array.from([0x81, ...text("__proto__"), 0x81, ...text("model"), ...text("m")])))
    )
  })

  it("cost little memory, whatever they declare", () => {
    // each level declares as many elements as bytes remain
    const body = new Uint8Array(MAX_BODY).fill(0xc0)
    body.set([0x81, ...text("announcements")])
    for (let at = 15; at + 5 < 200; at += 5) body.set([0xdd, 0, 0x0f, 0xff, 0x00], at)
    const before = process.memoryUsage()
    assert.isUndefined(tryDecode(forge(FOUND, body)))
    const after = process.memoryUsage()
    assert.isBelow(after.heapUsed + after.external - before.heapUsed - before.external, 8 * MAX_BODY)
  })

  it("do not spoil the frames that follow", () => {
    for (const [, kind, body] of attacks) tryDecode(forge(kind, Uint8Array.from(body)))
    for (const kind of Object.keys(samples) as ReadonlyArray<Kind>) {
      assert.deepStrictEqual(decodeFrame(encodeFrame(kind, 1, samples[kind])).body, samples[kind])
    }
  })
})

describe("fields of wrong type or range are refused", () => {
  const wrong: ReadonlyArray<readonly [Kind, Readonly<Record<string, unknown>>]> = [
    ["hello", { ...samples.hello, versions: [1.5] }],
    ["hello", { ...samples.hello, versions: Array(33).fill(1) }],
    ["hello", { ...samples.hello, peer: "" }],
    ["hello", { ...samples.hello, peer: "x".repeat(1025) }],
    ["hello", { ...samples.hello, address: 7 }],
    ["welcome", { version: -1, peer: "p", software: "s" }],
    ["fault", { ...samples.fault, kind: "maybe" }],
    ["fault", { ...samples.fault, code: "constructor" }],
    ["fault", { ...samples.fault, retryAfter: -1 }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, blocks: { from: 5, to: 5 } } }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, blocks: { from: 20, to: 10 } } }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, blocks: { from: 20, to: 31 } } }],
    [
      "statusReply",
      { ...samples.statusReply, announcement: { ...announcement, modelBlocks: 5000, blocks: { from: 0, to: 4097 } } }
    ],
    [
      "statusReply",
      { ...samples.statusReply, announcement: { ...announcement, decodeRate: Number.POSITIVE_INFINITY } }
    ],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, decodeRate: -1 } }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, addresses: Array(17).fill("ws://a") } }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, addresses: [null] } }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, state: "gone" } }],
    ["statusReply", { ...samples.statusReply, announcement: { ...announcement, timeToLive: 1e12 } }],
    ["announce", { record: "text" }],
    ["found", { announcements: Array(1025).fill({ record: new Uint8Array(1), age: 0 }) }],
    ["found", { announcements: [{ record: new Uint8Array(1), age: 0 }, {}] }],
    ["found", { announcements: [{ record: new Uint8Array(1), age: -1 }] }],
    ["found", { announcements: { 0: { record: new Uint8Array(1), age: 0 } } }],
    ["hello", { ...samples.hello, nonce: new Uint8Array(15) }],
    ["hello", { ...samples.hello, credential: new Uint8Array(169) }],
    ["proof", { signature: new Uint8Array(65) }],
    ["revoked", { list: new Uint8Array(40_000) }],
    ["open", { ...samples.open, maxTokens: 0 }],
    ["open", { ...samples.open, codec: "f8" }],
    ["open", { ...samples.open, next: { kind: "peer", peer: "p" } }],
    ["open", { ...samples.open, next: null }],
    ["open", { ...samples.open, journalFrom: -2 }],
    ["open", { ...samples.open, session: undefined }],
    ["opened", { digest: "d", reproducible: 1 }],
    ["step", { ...samples.step, tokens: 0 }],
    ["step", { ...samples.step, position: -1 }],
    ["step", { ...samples.step, position: 2 ** 30, tokens: 1 }],
    ["step", { ...samples.step, position: 1.25 }],
    ["step", { ...samples.step, want: "none" }],
    ["step", { ...samples.step, epoch: "2" }],
    ["sessionFault", { session: "s", epoch: 1, fault: "cache-full" }],
    ["statusReply", { ...samples.statusReply, announcement: {} }]
  ]
  for (const [kind, body] of wrong) {
    it(`${kind} ${JSON.stringify(body).slice(0, 100)}`, () => {
      const encode = encodeFrame as (kind: Kind, request: number, body: unknown) => Uint8Array
      assert.throws(() => encode(kind, 0, body), TypeError)
    })
  }
})

describe("fuzzing", () => {
  const kinds = Object.keys(samples) as ReadonlyArray<Kind>
  const payload = Uint8Array.from({ length: 40 }, (_, i) => i)
  const originals = kinds.map((kind) => encodeFrame(kind, 3, samples[kind], payload))

  it("a changed or cut frame is never taken for a frame", () => {
    const random = makeRandom(1)
    for (let round = 0; round < 20_000; round++) {
      const bytes = (originals[random(originals.length)] as Uint8Array).slice()
      const flips = 1 + random(4)
      for (let i = 0; i < flips; i++) {
        const at = random(bytes.length)
        bytes[at] = (bytes[at] ?? 0) ^ (1 + random(255))
      }
      const cut = random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
      const frame = tryDecode(cut)
      // flips of one place can undo each other
      if (frame !== undefined)
        assert.deepStrictEqual(encodeFrame(frame.kind, frame.request, frame.body, payload), bytes)
    }
  })

  it("a frame changed by one who signs it again is refused, or is one that could have been sent", () => {
    const random = makeRandom(2)
    let taken = 0
    for (let round = 0; round < 40_000; round++) {
      const bytes = (originals[random(originals.length)] as Uint8Array).slice()
      const flips = 1 + random(3)
      for (let i = 0; i < flips; i++) bytes[4 + random(bytes.length - 4)] = random(256)
      const frame = tryDecode(sign(bytes))
      if (frame === undefined) continue
      taken++
      const again = decodeFrame(encodeFrame(frame.kind, frame.request, frame.body as never, frame.payload))
      assert.deepStrictEqual(again, frame)
    }
    assert.isAbove(taken, 1000)
  })

  it("random bytes behind a valid prefix are refused", () => {
    const random = makeRandom(3)
    for (let round = 0; round < 20_000; round++) {
      const body = Uint8Array.from({ length: random(200) }, () => random(256))
      const frame = tryDecode(forge(1 + random(22), body))
      if (frame !== undefined) encodeFrame(frame.kind, 0, frame.body as never)
    }
  })
})
