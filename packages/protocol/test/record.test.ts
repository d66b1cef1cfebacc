import { makeIdentity } from "@swarm/identity"
import { decodeRecord, encodeRecord, MAX_RECORD, RecordError, type RecordReason } from "@swarm/protocol"
import { assert, describe, it } from "vitest"
import { announcement as sample } from "./samples.ts"

const identity = makeIdentity()
const announcement = { ...sample, peer: identity.peer }

const reasonOf = (record: Uint8Array): RecordReason | "none" => {
  try {
    decodeRecord(record)
    return "none"
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    return error.reason
  }
}

describe("records", () => {
  it("keep an announcement, its time and its credential", () => {
    const credential = Uint8Array.from({ length: 170 }, (_, i) => i)
    assert.deepStrictEqual(decodeRecord(encodeRecord(announcement, 1_800_000_000_123, identity, credential)), {
      announcement,
      issuedAt: 1_800_000_000_123,
      credential
    })
    assert.deepStrictEqual(decodeRecord(encodeRecord(announcement, 1, identity)), { announcement, issuedAt: 1 })
  })

  it("are refused when a single byte was changed, wherever it is", () => {
    const record = encodeRecord(announcement, 1, identity)
    for (let at = 0; at < record.length; at++) {
      const changed = record.slice()
      changed[at] = (record[at] ?? 0) ^ 1
      assert.include(["malformed", "forged"], reasonOf(changed), `byte ${at}`)
    }
  })

  it("are refused when another signed them", () => {
    assert.strictEqual(reasonOf(encodeRecord(announcement, 1, makeIdentity())), "forged")
    assert.strictEqual(reasonOf(encodeRecord({ ...announcement, peer: "peer-1" }, 1, identity)), "forged")
  })

  it("are refused when they are cut, too long, of another layout, or nothing", () => {
    const record = encodeRecord(announcement, 1, identity)
    for (const length of [0, 1, 64, 65, 66, record.length - 1]) {
      assert.strictEqual(reasonOf(record.subarray(0, length)), "malformed", `${length} bytes`)
    }
    assert.strictEqual(reasonOf(new Uint8Array(MAX_RECORD)), "malformed")
    assert.strictEqual(reasonOf(new Uint8Array(MAX_RECORD + 1)), "oversized")
    assert.strictEqual(reasonOf(record.map((byte, i) => (i === 0 ? 2 : byte))), "malformed")
  })

  it("are never made longer than others take", () => {
    const addresses = Array.from({ length: 16 }, (_, i) => `ws://${"x".repeat(300)}${i}:1`)
    assert.throws(() => encodeRecord({ ...announcement, addresses }, 1, identity), RangeError)
  })
})
