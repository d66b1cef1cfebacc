import { describe, expect, it } from "vitest"
import { decodeRows, encodeRows, rowBytes, wireCodecs } from "../src/index.ts"
import { normal } from "./fixture.ts"

describe.each(wireCodecs)("rows in %s", (name) => {
  const hidden = 100
  const x = normal(1, 5 * hidden)
  const { codec, payload } = encodeRows(name, x, hidden)

  it("can be cut and joined between rows", () => {
    const size = rowBytes(name, hidden)
    expect(codec).toBe(name)
    expect(payload.length).toBe(5 * size)
    const later = encodeRows(name, x.subarray(2 * hidden), hidden)
    expect(later.payload).toEqual(payload.slice(2 * size))
    const one = decodeRows(name, payload.subarray(3 * size, 4 * size), 1, hidden)
    expect(one).toEqual(decodeRows(name, payload, 5, hidden).slice(3 * hidden, 4 * hidden))
  })

  it("gives the same bytes when it is passed on", () => {
    expect(encodeRows(name, decodeRows(name, payload, 5, hidden), hidden).payload).toEqual(payload)
  })

  it("falls back to f32 for a value beyond the codec", () => {
    const wild = x.slice()
    wild[250] = Number.POSITIVE_INFINITY
    const sent = encodeRows(name, wild, hidden)
    expect(sent.codec).toBe("f32")
    expect(decodeRows("f32", sent.payload, 5, hidden)).toEqual(wild)
  })

  it("refuses a payload of another length", () => {
    for (const length of [0, payload.length - 1, payload.length + 1]) {
      expect(() => decodeRows(name, new Uint8Array(length), 5, hidden)).toThrow(RangeError)
    }
  })
})
