import { describe, expect, it } from "vitest"
import { expand, quantizationError, quantize, WeightError } from "../src/index.ts"
import { bits, normal } from "./fixture.ts"

const N = 24
const K = 200
const cases = ([4, 8] as const).flatMap((bits) =>
  [16, 32, 64, 128, 256].flatMap((blockSize) => [false, true].map((zeroPoints) => ({ bits, blockSize, zeroPoints })))
)

/** Rounding with the step that puts the greatest weight of a block on the outermost code: squared error. */
const plainError = (w: Float32Array, blockSize: number, levels: number): number => {
  let error = 0
  let total = 0
  for (let n = 0; n < N; n++) {
    for (let from = 0; from < K; from += blockSize) {
      const block = w.subarray(n * K + from, n * K + Math.min(from + blockSize, K))
      const step = Math.max(...block.map(Math.abs)) / levels
      for (const x of block) {
        error += (x - step * Math.max(-levels, Math.min(levels - 1, Math.round(x / step)))) ** 2
        total += x ** 2
      }
    }
  }
  return error / total
}

describe("quantize", () => {
  it.each(cases)(
    "$bits bits, blocks of $blockSize, zero points $zeroPoints: bounded error, same result twice",
    (options) => {
      const w = normal(options.blockSize, N * K, 0.05)
      const linear = quantize(w, N, K, options)
      const error = quantizationError(w, linear)
      expect(error).toBeGreaterThan(0)
      expect(error).toBeLessThan(options.bits === 4 ? 0.014 : 7e-5)
      expect(quantize(w, N, K, options)).toEqual(linear)
    }
  )

  it("loses less in 4 bits than rounding with the greatest magnitude over 8", () => {
    for (const blockSize of [32, 128]) {
      const w = normal(5, N * K)
      const error = quantizationError(w, quantize(w, N, K, { bits: 4, blockSize }))
      expect(error).toBeLessThan(0.9 * plainError(w, blockSize, 8))
    }
  })

  it("keeps every weight within half a step in 8 bits", () => {
    const w = normal(11, N * K)
    const linear = quantize(w, N, K, { bits: 8, blockSize: 64 })
    const out = expand(linear)
    const blocks = Math.ceil(K / 64)
    for (let i = 0; i < w.length; i++) {
      const step = linear.scales[Math.floor(i / K) * blocks + Math.floor((i % K) / 64)] ?? 0
      expect(Math.abs((w[i] ?? 0) - (out[i] ?? 0))).toBeLessThanOrEqual(0.50001 * step)
    }
  })

  it("finds weights again that lie on a grid", () => {
    const grid = Float32Array.from({ length: 256 }, (_, i) => ((i % 16) - 8) * 0.25)
    expect(expand(quantize(grid, 2, 128, { bits: 4, blockSize: 32 }))).toEqual(grid)
    expect(expand(quantize(grid, 2, 128, { bits: 4, blockSize: 32, zeroPoints: true }))).toEqual(grid)
  })

  it("gains from zero points on weights that are not centred", () => {
    const w = normal(2, N * K).map((x) => x + 3)
    const error = (zeroPoints: boolean) =>
      quantizationError(w, quantize(w, N, K, { bits: 4, blockSize: 32, zeroPoints }))
    expect(error(true)).toBeLessThan(0.5 * error(false))
  })

  it("keeps zeros, tiny and huge weights", () => {
    for (const scale of [0, 1e-44, 1e-38, 3e38]) {
      const w = normal(9, 64).map((x) => Math.tanh(x) * scale)
      for (const options of cases) {
        const out = expand(quantize(w, 2, 32, options))
        expect(out.every(Number.isFinite)).toBe(true)
        if (scale === 0) expect(out.every((x) => x === 0)).toBe(true)
      }
    }
  })

  it("fills a last block that K does not fill with zeros", () => {
    for (const zeroPoints of [false, true]) {
      const linear = quantize(normal(4, 2 * 40), 2, 40, { bits: 8, blockSize: 32, zeroPoints })
      const zero = linear.zeroPoints?.[1] ?? 128
      expect(linear.packed.subarray(40, 64).every((code) => code === zero)).toBe(true)
    }
  })

  it("names row and column of a bad weight", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const w = normal(1, 4 * 64)
      w[2 * 64 + 40] = bad
      const run = () => quantize(w, 4, 64, { bits: 4, blockSize: 32 })
      expect(run).toThrow(WeightError)
      expect(run).toThrow("row 2 from column 32")
    }
  })

  it("refuses bad shapes and options", () => {
    const w = normal(1, 64)
    expect(() => quantize(w, 3, 32, { bits: 4, blockSize: 32 })).toThrow(RangeError)
    expect(() => quantize(w, 2, 32, { bits: 4, blockSize: 48 })).toThrow(RangeError)
    expect(() => quantize(w, 2, 32, { bits: 3 as 4, blockSize: 32 })).toThrow(RangeError)
    expect(() => quantizationError(w.subarray(1), quantize(w, 2, 32, { bits: 4, blockSize: 32 }))).toThrow(RangeError)
  })

  it("does not depend on the rows around a row", () => {
    const w = normal(8, N * K)
    const all = expand(quantize(w, N, K, { bits: 4, blockSize: 32 }))
    const one = expand(quantize(w.slice(5 * K, 6 * K), 1, K, { bits: 4, blockSize: 32 }))
    expect(bits(one)).toEqual(bits(all.slice(5 * K, 6 * K)))
  })
})
