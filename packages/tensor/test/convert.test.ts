import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import {
  countElements,
  decodeFloats,
  elementTypes,
  encodeFloats,
  makeArray,
  type NarrowFloat,
  openSafetensors,
  toFloat32,
  viewArray,
  viewBytes
} from "../src/index.ts"

const tables = openSafetensors(
  new URL("../../../test/fixtures/quant/number-tables.safetensors", import.meta.url).pathname
)

/** Bit patterns, with every NaN as one: the payload of a NaN is not part of the contract. */
const words = (values: Float32Array): Array<number> =>
  Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length), (word) =>
    (word & 0x7fffffff) > 0x7f800000 ? NaN : word
  )

const formats: ReadonlyArray<{ type: NarrowFloat; decoded: string; encoded: string; bits: 8 | 16 }> = [
  { type: "f16", decoded: "f16_to_f32", encoded: "x_f16", bits: 16 },
  { type: "bf16", decoded: "bf16_to_f32", encoded: "x_bf16", bits: 16 },
  { type: "f8e4m3", decoded: "e4m3fn_to_f32", encoded: "x_e4m3fn", bits: 8 },
  { type: "f8e5m2", decoded: "e5m2_to_f32", encoded: "x_e5m2", bits: 8 }
]

describe.each(formats)("$type", ({ bits, decoded, encoded, type }) => {
  const codes = makeArray(type, 2 ** bits).map((_, code) => code)

  it("decodes every code as PyTorch does", () => {
    expect(words(decodeFloats(type, codes))).toEqual(words(tables.readFloat32(decoded)))
  })

  it("rounds every value of the table as PyTorch does", () => {
    const expected = tables.readArray(encoded)
    if (!(expected instanceof Uint8Array || expected instanceof Uint16Array)) throw new Error("not codes")
    const codes = encodeFloats(type, tables.readFloat32("x"))
    expect(words(decodeFloats(type, codes))).toEqual(words(decodeFloats(type, expected)))
  })

  it("encodes what it decoded to the same code", () => {
    const values = decodeFloats(type, codes)
    const again = encodeFloats(type, values)
    for (let code = 0; code < codes.length; code++) {
      if (Number.isNaN(values[code])) expect(decodeFloats(type, again.subarray(code, code + 1))[0]).toBeNaN()
      else expect(again[code]).toBe(code)
    }
  })

  it("rounds to the nearest value, ties to the even code", () => {
    const values = decodeFloats(type, codes)
    const finite = Array.from(codes)
      .slice(0, 2 ** (bits - 1))
      .filter((code) => Number.isFinite(values[code]))
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(finite.length - 2), FastCheck.integer({ min: 0, max: 64 }), (low, part) => {
        const [a, b] = [values[low] ?? NaN, values[low + 1] ?? NaN]
        const x = Math.fround(a + ((b - a) * part) / 64)
        const [code] = encodeFloats(type, Float32Array.of(x))
        const even = low % 2 === 0 ? low : low + 1
        expect(code).toBe(x - a < b - x ? low : x - a > b - x ? low + 1 : even)
      })
    )
  })

  it("writes into the array that it is given", () => {
    const out = makeArray(type, 2)
    expect(encodeFloats(type, Float32Array.of(1, -1), out)).toBe(out)
    expect(Array.from(decodeFloats(type, out))).toEqual([1, -1])
    expect(() => encodeFloats(type, Float32Array.of(1, 2, 3), out)).toThrow(RangeError)
  })
})

describe("toFloat32", () => {
  it("reads every element type, at any alignment", () => {
    for (const type of elementTypes) {
      const array = makeArray(type, 3)
      const one = encodeOne(type)
      viewBytes(array).set(one, 2 * one.length)
      const shifted = new Uint8Array(array.byteLength + 1)
      shifted.set(viewBytes(array), 1)
      expect([type, ...toFloat32(type, shifted.subarray(1))]).toEqual([type, 0, 0, 1])
    }
  })

  it("rejects half an element", () => {
    expect(() => toFloat32("f32", new Uint8Array(6))).toThrow(RangeError)
  })
})

/** The bytes of the number one. */
const encodeOne = (type: (typeof elementTypes)[number]): Uint8Array => {
  if (type === "f16" || type === "bf16" || type === "f8e4m3" || type === "f8e5m2") {
    return viewBytes(encodeFloats(type, Float32Array.of(1)))
  }
  const array = makeArray(type, 1)
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) array[0] = 1n
  else array[0] = 1
  return viewBytes(array)
}

describe("shapes and views", () => {
  it("countElements refuses what cannot be counted", () => {
    expect(countElements([])).toBe(1)
    expect(countElements([2, 0, 3])).toBe(0)
    for (const shape of [[-1], [1.5], [2 ** 60], [2 ** 30, 2 ** 30], [2 ** 50, 2 ** 50, 0]]) {
      expect(() => countElements(shape)).toThrow(RangeError)
    }
  })

  it("viewArray shares aligned memory and copies the rest", () => {
    const bytes = new Uint8Array(12)
    const view = viewArray("f32", bytes.subarray(4))
    view[0] = 1
    expect(bytes[7]).toBe(0x3f)
    expect(viewArray("f32", bytes.subarray(1, 9)).buffer).not.toBe(bytes.buffer)
  })
})
