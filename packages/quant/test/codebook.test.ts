/** NF4, FP4, double quantization, dynamic 8 bits and LLM.int8 against what bitsandbytes gives, to the bit. */
import { describe, expect, it } from "vitest"
import {
  blockBytes,
  codebookLayout,
  codebookLinear,
  dequantize,
  expand,
  expandCodebook,
  expandNested,
  expandRows,
  integerTable,
  mxfp4Blocks,
  rowLinear,
  WeightError
} from "../src/index.ts"
import { bits, blocksFixture, fixture } from "./fixture.ts"

const golden = fixture("quant/bitsandbytes.safetensors")
const K = 256
const N = 64

describe.each(["nf4", "fp4"])("%s", (kind) => {
  const table = golden.f32(`${kind}.code`)

  it.each([64, 128])("in blocks of %i", (blockSize) => {
    const absmax = golden.f32(`${kind}.${blockSize}.absmax`)
    const blocks = { codes: golden.bytes(`${kind}.${blockSize}.packed`), table, absmax, blockSize }
    const expected = golden.f32(`${kind}.${blockSize}.dequantized`)
    expect(bits(expandCodebook(blocks, 0, new Float32Array(N * K)))).toEqual(bits(expected))
    expect(bits(expandCodebook(blocks, 3 * K, new Float32Array(2 * K)))).toEqual(bits(expected.slice(3 * K, 5 * K)))

    // as the kernel's integers: no further off than the note says
    const layout = codebookLayout(kind, blocks, K)
    if (layout === undefined) throw new Error("no layout")
    const { error } = integerTable(table)
    expect(layout.note).toContain(`${(100 * error).toPrecision(2)} %`)
    const linear = codebookLinear(blocks, K, 0, N, layout)
    const values = expand(linear)
    let worst = 0
    for (let i = 0; i < values.length; i++) {
      const greatest = absmax[Math.floor(i / blockSize)] ?? 0
      if (greatest > 0) worst = Math.max(worst, Math.abs((values[i] ?? 0) - (expected[i] ?? 0)) / greatest)
    }
    expect(worst).toBeLessThanOrEqual(error + 1e-6)
    expect(worst).toBeGreaterThan(0)
    const part = codebookLinear(blocks, K, 5, 7, layout)
    expect(bits(expand(part))).toEqual(bits(values.slice(5 * K, 7 * K)))
  })

  it("with magnitudes that are quantized too", () => {
    const inner = {
      codes: golden.bytes(`${kind}.nested.absmax`),
      table: golden.f32(`${kind}.nested.code2`),
      absmax: golden.f32(`${kind}.nested.absmax2`),
      blockSize: 256
    }
    const absmax = expandNested(inner, golden.f32(`${kind}.nested.offset`)[0] ?? 0)
    const blocks = { codes: golden.bytes(`${kind}.nested.packed`), table, absmax, blockSize: 64 }
    const expected = golden.f32(`${kind}.nested.dequantized`)
    expect(bits(expandCodebook(blocks, 0, new Float32Array(N * K)))).toEqual(bits(expected))
  })
})

describe("dynamic 8 bits", () => {
  it.each([64, 256, 1024, 4096])("in blocks of %i", (blockSize) => {
    const blocks = {
      codes: golden.bytes(`dynamic.${blockSize}.codes`),
      table: golden.f32("dynamic.code"),
      absmax: golden.f32(`dynamic.${blockSize}.absmax`),
      blockSize
    }
    const expected = golden.f32(`dynamic.${blockSize}.dequantized`)
    expect(bits(expandCodebook(blocks, 0, new Float32Array(N * K)))).toEqual(bits(expected))
  })
})

describe("tables", () => {
  it("become integers that are nearest in the greatest difference", () => {
    const table = golden.f32("nf4.code")
    const { codes, step, error } = integerTable(table)
    table.forEach((value, i) => {
      expect(Math.abs(((codes[i] ?? 0) - 128) * step - value)).toBeLessThanOrEqual(error + 1e-9)
    })
    expect(error).toBeLessThan(1 / 254)
  })
  it("have no layout for blocks that cross rows or are not the kernel's", () => {
    const table = golden.f32("nf4.code")
    expect(codebookLayout("NF4", { table, blockSize: 64 }, 96)).toBeUndefined()
    expect(codebookLayout("NF4", { table, blockSize: 8 }, 64)).toBeUndefined()
    expect(codebookLayout("NF4", { table, blockSize: 512 }, 1024)?.blockSize).toBe(128)
  })
  it("refuse lengths and magnitudes that cannot be", () => {
    const table = golden.f32("nf4.code")
    const blocks = { codes: new Uint8Array(32), table, absmax: Float32Array.of(Number.NaN), blockSize: 64 }
    expect(() => expandCodebook(blocks, 0, new Float32Array(65))).toThrow(RangeError)
    const layout = codebookLayout("NF4", blocks, 64)
    if (layout === undefined) throw new Error("no layout")
    expect(() => codebookLinear(blocks, 64, 0, 1, layout)).toThrow(WeightError)
  })
})

describe("LLM.int8", () => {
  const codes = new Int8Array(golden.bytes("int8.CW").buffer)
  const absmax = golden.f32("int8.SCW")
  const [rows = 0, columns = 0] = golden.shape("int8.CW")
  const values = expandRows(codes, absmax, new Float32Array(rows * columns))

  it("rows are what bitsandbytes multiplies with outlier columns", () => {
    // the outlier columns of its product are A · (codes * absmax / 127)ᵀ in full precision, the others int8 · int8
    const table = fixture("quant/number-tables.safetensors").f32("f16_to_f32")
    const a = Float64Array.from(golden.u16("int8.A"), (pattern) => table[pattern] ?? 0)
    const rounded = new Int8Array(golden.bytes("int8.CA").buffer)
    const greatest = golden.f32("int8.SCA")
    const outliers = new Set(new Int32Array(golden.bytes("int8.outlier_columns").buffer))
    const product = golden.f32("int8.product")
    const tokens = greatest.length
    for (let t = 0; t < tokens; t++) {
      for (let n = 0; n < rows; n++) {
        let sum = 0
        for (let k = 0; k < columns; k++) {
          const x = outliers.has(k)
            ? (a[t * columns + k] ?? 0)
            : ((rounded[t * columns + k] ?? 0) * (greatest[t] ?? 0)) / 127
          sum += x * (values[n * columns + k] ?? 0)
        }
        expect(Math.abs(sum - (product[t * rows + n] ?? 0))).toBeLessThan(1e-4)
      }
    }
  })

  it("become blocks that are off by the rounding of the scale alone", () => {
    const blocks = expand(rowLinear(codes, absmax, columns))
    for (let i = 0; i < values.length; i++) {
      expect(Math.abs((blocks[i] ?? 0) - (values[i] ?? 0))).toBeLessThanOrEqual(2 ** -23 * Math.abs(values[i] ?? 0))
    }
  })

  it("refuse what cannot be", () => {
    expect(() => rowLinear(codes, absmax.subarray(1), columns)).toThrow(RangeError)
    expect(() => expandRows(codes, absmax, new Float32Array(3))).toThrow(RangeError)
    expect(() => rowLinear(codes, absmax.slice().fill(Number.POSITIVE_INFINITY), columns)).toThrow(WeightError)
  })
})

describe("MXFP4", () => {
  it("holds the values of GGUF's blocks in pairs", () => {
    const blocks = blocksFixture()
    const bytes = blocks.bytes("MXFP4.bytes")
    const values = blocks.f32("MXFP4.values")
    const count = values.length / 32
    const nibble = (b: number, i: number) => {
      const byte = bytes[b * 17 + 1 + (i % 16)] ?? 0
      return i < 16 ? byte & 15 : byte >> 4
    }
    const codes = Uint8Array.from({ length: count * 16 }, (_, i) => {
      const [b, j] = [Math.floor(i / 16), i % 16]
      return nibble(b, 2 * j) | (nibble(b, 2 * j + 1) << 4)
    })
    const exponents = Uint8Array.from({ length: count }, (_, b) => bytes[b * 17] ?? 0)
    const made = mxfp4Blocks(codes, exponents)
    expect(made.length).toBe(blockBytes("MXFP4", values.length))
    expect(bits(dequantize("MXFP4", made, new Float32Array(values.length)))).toEqual(bits(values))
    expect(() => mxfp4Blocks(codes, exponents.subarray(1))).toThrow(RangeError)
  })
})
