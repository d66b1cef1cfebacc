import { describe, expect, it } from "vitest"
import { codec, type WireCodec, wireCodecs } from "../src/index.ts"
import { bits, fixture, normal, random } from "./fixture.ts"

const tables = fixture("quant/number-tables.safetensors")

const encoded = (name: WireCodec, x: Float32Array): Uint8Array | undefined => {
  const { bytes, encode } = codec(name)
  const out = new Uint8Array(bytes(x.length))
  return encode(x, out) ? out : undefined
}

const decoded = (name: WireCodec, data: Uint8Array, values: number): Float32Array => {
  const out = new Float32Array(values)
  codec(name).decode(data, out)
  return out
}

/** Values of every magnitude, a few per power of two, both signs, and zeros. */
const wide = (seed: number, values: number, from: number, to: number): Float32Array => {
  const next = random(seed)
  return Float32Array.from({ length: values }, (_, i) =>
    i % 50 === 0
      ? i % 100 === 0
        ? 0
        : -0
      : (next() < 0.5 ? -1 : 1) * (1 + next()) * 2 ** (from + next() * (to - from))
  )
}

const x = tables.f32("x")

describe.each([
  ["f16", "x_f16", "f16_to_f32", 0x7c00],
  ["bf16", "x_bf16", "bf16_to_f32", 0x7f80]
] as const)("%s", (name, golden, table, infinity) => {
  it("rounds as PyTorch does, and refuses what becomes infinite or NaN", () => {
    const expected = tables.u16(golden)
    let refused = 0
    for (let i = 0; i < x.length; i++) {
      const data = encoded(name, x.subarray(i, i + 1))
      const pattern = expected[i] ?? 0
      if ((pattern & 0x7fff) >= infinity) {
        expect(data).toBeUndefined()
        refused++
      } else expect(data && new Uint16Array(data.buffer)[0]).toBe(pattern)
    }
    expect(refused).toBeGreaterThan(0)
  })

  it("decodes every pattern, and encodes every finite one back to itself", () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const values = decoded(name, new Uint8Array(patterns.buffer), 65536)
    expect(values).toEqual(tables.f32(table))
    const finite = patterns.filter((pattern) => (pattern & 0x7fff) < infinity)
    const bytes = new Uint8Array(finite.buffer)
    expect(encoded(name, decoded(name, bytes, finite.length))).toEqual(bytes)
  })
})

it("f16 is within 2^-11 of a value, bf16 within 2^-8", () => {
  const values = wide(1, 20000, -30, 14)
  const f16 = decoded("f16", encoded("f16", values) ?? new Uint8Array(), values.length)
  const bf16 = decoded("bf16", encoded("bf16", values) ?? new Uint8Array(), values.length)
  values.forEach((value, i) => {
    expect(Math.abs((f16[i] ?? 0) - value)).toBeLessThanOrEqual(Math.max(2 ** -11 * Math.abs(value), 2 ** -25))
    expect(Math.abs((bf16[i] ?? 0) - value)).toBeLessThanOrEqual(2 ** -8 * Math.abs(value))
  })
})

it("f32 passes every pattern", () => {
  const values = new Float32Array(
    Uint32Array.of(0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00001, 1, 0x7f7fffff).buffer
  )
  expect(bits(decoded("f32", encoded("f32", values) ?? new Uint8Array(), 7))).toEqual(bits(values))
})

describe.each([
  ["int8", 64, 253, 1.5e-36],
  ["int4", 32, 13.9, 8.3e-38]
] as const)("%s", (name, size, share, floor) => {
  const ranges = [
    [-2, 2],
    [-30, 30],
    [-149, -100],
    [-126, -110],
    [100, 127]
  ] as const

  it.each(ranges)("keeps its bound and its bytes for magnitudes 2^%i to 2^%i", (from, to) => {
    const values = wide(from + 200, 64 * 100 + 17, from, to).map((value) => Math.max(-3e38, Math.min(3e38, value)))
    const data = encoded(name, values)
    if (data === undefined) throw new Error("refused")
    const out = decoded(name, data, values.length)
    for (let block = 0; block < values.length; block += size) {
      const greatest = Math.max(...values.subarray(block, block + size).map(Math.abs))
      for (let i = block; i < Math.min(block + size, values.length); i++) {
        expect(Math.abs((out[i] ?? 0) - (values[i] ?? 0))).toBeLessThanOrEqual(Math.max(greatest / share, floor))
      }
    }
    expect(encoded(name, out)).toEqual(data)
  })

  it("has a signal to noise ratio of 44 dB (8 bits) or 20 dB (4 bits) on normal values", () => {
    const values = normal(3, 64 * 1000)
    const out = decoded(name, encoded(name, values) ?? new Uint8Array(), values.length)
    const noise = values.reduce((sum, value, i) => sum + (value - (out[i] ?? 0)) ** 2, 0)
    const signal = values.reduce((sum, value) => sum + value ** 2, 0)
    expect(10 * Math.log10(signal / noise)).toBeGreaterThan(name === "int8" ? 44 : 20)
  })

  it("refuses a block whose greatest value would come back infinite", () => {
    const greatest = (2 - 2 ** -23) * 2 ** 127
    const data = encoded(name, Float32Array.of(greatest))
    if (data !== undefined) expect(Number.isFinite(decoded(name, data, 1)[0])).toBe(true)
    for (let value = 3e38; value < greatest; value *= 1.0007) {
      const bytes = encoded(name, Float32Array.of(value))
      if (bytes !== undefined) expect(Number.isFinite(decoded(name, bytes, 1)[0])).toBe(true)
    }
  })
})

describe.each(wireCodecs)("%s", (name) => {
  it("works at any byte offset and for any number of values", () => {
    for (const count of [0, 1, 2, 63, 64, 65, 129]) {
      const values = normal(count + 1, count + 3).subarray(3)
      const { bytes, decode, encode } = codec(name)
      const size = bytes(count)
      const buffer = new Uint8Array(size + 3).fill(0xaa)
      expect(encode(values, buffer.subarray(1, 1 + size))).toBe(true)
      expect([buffer[0], buffer[size + 1], buffer[size + 2]]).toEqual([0xaa, 0xaa, 0xaa])
      expect(encoded(name, values)).toEqual(buffer.slice(1, 1 + size))
      const out = new Float32Array(count + 2)
      decode(buffer.subarray(1, 1 + size), out.subarray(1, 1 + count))
      expect(out.subarray(1, 1 + count)).toEqual(decoded(name, buffer.slice(1, 1 + size), count))
      expect([out[0], out[count + 1]]).toEqual([0, 0])
    }
  })

  it("refuses NaN and infinities at any place, unless it is exact", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 63, 64, 99]) {
        const values = normal(1, 100)
        values[at] = bad
        expect(encoded(name, values) === undefined).toBe(name !== "f32")
      }
    }
  })

  it("throws for lengths that do not fit", () => {
    const { bytes, decode, encode } = codec(name)
    const size = bytes(70)
    expect(() => encode(new Float32Array(70), new Uint8Array(size - 1))).toThrow(RangeError)
    expect(() => decode(new Uint8Array(size - 1), new Float32Array(70))).toThrow(RangeError)
    expect(() => decode(new Uint8Array(size + 1), new Float32Array(70))).toThrow(RangeError)
  })

  it("decodes random bytes without harm", () => {
    const next = random(5)
    const data = Uint8Array.from({ length: codec(name).bytes(200) }, () => next() * 256)
    expect(decoded(name, data, 200)).toHaveLength(200)
  })
})

it("codec() refuses unknown names", () => {
  expect(() => codec("toString" as WireCodec)).toThrow(RangeError)
})
