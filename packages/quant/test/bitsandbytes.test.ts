import { describe, expect, it } from "vitest"
import {
  dequantizeDynamic,
  expandCodebook,
  nestAbsmax,
  nf4Values,
  quantizeInt8Rows,
  quantizeNf4,
  WeightError
} from "../src/index.ts"
import { bits, fixture } from "./fixture.ts"

const golden = fixture("quant/bitsandbytes.safetensors")
const halves = fixture("quant/number-tables.safetensors").f32("f16_to_f32")
const x = golden.f32("x")

it("has the values of NF4", () => {
  expect(bits(nf4Values)).toEqual(bits(golden.f32("nf4.code")))
})

describe.each([64, 128])("NF4 in blocks of %i", (block) => {
  const blocks = quantizeNf4(x, block)
  const packed = golden.bytes(`nf4.${block}.packed`)

  it("is that of bitsandbytes, to the bit", () => {
    expect(bits(blocks.absmax)).toEqual(bits(golden.f32(`nf4.${block}.absmax`)))
    expect(blocks.codes).toEqual(packed)
    const expected = golden.f32(`nf4.${block}.dequantized`)
    expect(bits(expandCodebook(blocks, 0, new Float32Array(x.length)))).toEqual(bits(expected))
  })
})

it("nests the magnitudes as bitsandbytes does", () => {
  const { nested, offset } = nestAbsmax(quantizeNf4(x).absmax)
  expect(offset).toBe(golden.f32("nf4.nested.offset")[0])
  expect(nested.codes).toEqual(golden.bytes("nf4.nested.absmax"))
  expect(bits(nested.scales)).toEqual(bits(golden.f32("nf4.nested.absmax2")))
  const absmax = dequantizeDynamic(nested).map((value) => value + offset)
  const blocks = { codes: golden.bytes("nf4.nested.packed"), table: nf4Values, absmax, blockSize: 64 }
  const expected = golden.f32("nf4.nested.dequantized")
  expect(bits(expandCodebook(blocks, 0, new Float32Array(x.length)))).toEqual(bits(expected))
})

it("rounds rows to int8 as bitsandbytes does", () => {
  const w = Float32Array.from(golden.u16("int8.W"), (pattern) => halves[pattern] ?? 0)
  const rows = quantizeInt8Rows(w, 48, 128)
  expect(rows.absmax).toEqual(golden.f32("int8.SCW"))
  expect(new Uint8Array(rows.codes.buffer)).toEqual(golden.bytes("int8.CW"))
})

it("copes with zeros and odd lengths, and refuses what is not finite", () => {
  expect(expandCodebook(quantizeNf4(new Float32Array(65)), 0, new Float32Array(65))).toEqual(new Float32Array(65))
  expect(quantizeInt8Rows(new Float32Array(4), 2, 2).codes).toEqual(new Int8Array(4))
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => quantizeNf4(Float32Array.of(1, bad))).toThrow(WeightError)
    expect(() => quantizeInt8Rows(Float32Array.of(1, bad), 2, 1)).toThrow(WeightError)
  }
  expect(() => quantizeNf4(x, 48)).toThrow(RangeError)
  expect(() => quantizeInt8Rows(x, 3, 5)).toThrow(RangeError)
})
