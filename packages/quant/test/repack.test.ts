import { describe, expect, it } from "vitest"
import {
  blockType,
  blockTypes,
  dequantize,
  expand,
  layoutOf,
  layoutOfLinear,
  linearBytes,
  repack,
  sameLayout,
  WeightError
} from "../src/index.ts"
import { bits, blocksFixture, random } from "./fixture.ts"

const golden = blocksFixture()
const quantized = [...blockTypes.values()].filter((info) => info.blockSize > 1).map((info) => info.type)

describe.each(quantized)("repack %s", (type) => {
  const [N = 0, K = 0] = golden.shape(`${type}.values`)
  const values = golden.f32(`${type}.values`)
  const bytes = golden.bytes(`${type}.bytes`)
  const linear = repack(type, bytes, N, K)

  it("gives the layout and the sizes that were announced", () => {
    const layout = layoutOf(type)
    if (layout === undefined) throw new Error("no layout")
    expect(sameLayout(layout, layoutOfLinear(linear))).toBe(true)
    const sizes = linearBytes(layout, N, K)
    expect(linear.packed.byteLength).toBe(sizes.packed)
    expect(linear.scales.byteLength).toBe(sizes.scales)
    expect(linear.offsets?.byteLength ?? 0).toBe(sizes.offsets)
    expect([16, 32, 64, 128, 256]).toContain(linear.blockSize)
  })

  it("keeps the weights: exactly, or within half a unit of the offset", () => {
    const { blockSize, scales, offsets } = linear
    if (offsets === undefined) expect(bits(expand(linear))).toEqual(bits(values))
    const half = 2 ** -24
    let worst = 0
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        const b = Math.floor(k / blockSize)
        const at = n * K + k
        const byte = linear.packed[linear.bits === 8 ? at : at >> 1] ?? 0
        const code = linear.bits === 8 ? byte - 128 : ((byte >> (4 * (k & 1))) & 15) - 8
        const offset = offsets?.[b * N + n] ?? 0
        const weight = (scales[n * (K / blockSize) + b] ?? 0) * code + offset
        const value = values[at] ?? 0
        const bound = half * (Math.abs(offset) + Math.abs(value))
        worst = Math.max(worst, Math.abs(weight - value) - bound)
      }
    }
    expect(worst).toBeLessThanOrEqual(0)
  })

  it("reads any byte offset", () => {
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    expect(repack(type, shifted.subarray(1), N, K)).toEqual(linear)
  })

  it("is the same row by row", () => {
    const rowBytes = bytes.length / N
    const row = repack(type, bytes.subarray(5 * rowBytes, 6 * rowBytes), 1, K)
    expect(bits(expand(row))).toEqual(bits(expand(linear).slice(5 * K, 6 * K)))
  })
})

describe("repack", () => {
  it("has no layout for plain floats", () => {
    for (const type of ["F32", "F16", "BF16"] as const) {
      expect(layoutOf(type)).toBeUndefined()
      expect(() => repack(type, new Uint8Array(128), 1, 32)).toThrow(RangeError)
    }
  })

  it("refuses shapes and lengths that do not fit, before it allocates", () => {
    for (const [bytes, N, K] of [
      [18, 1, 33],
      [18, 2, 32],
      [18, 0, 32],
      [18, 1, 0],
      [18, 1, -32],
      [18, 0.5, 64],
      [18, 2 ** 40, 2 ** 20],
      [18, Number.NaN, 32]
    ] as const) {
      expect(() => repack("Q4_0", new Uint8Array(bytes), N, K)).toThrow(RangeError)
    }
  })

  it("names row and column of a scale that is not finite", () => {
    const bytes = golden.bytes("Q4_0.bytes")
    const [, K = 0] = golden.shape("Q4_0.values")
    const at = (3 * (K / 32) + 2) * 18
    for (const pattern of [0x7c00, 0xfc00, 0x7e00]) {
      bytes.set([pattern & 255, pattern >> 8], at)
      const run = () => repack("Q4_0", bytes, 8, K)
      expect(run).toThrow(WeightError)
      expect(run).toThrow("row 3 from column 64")
    }
  })

  it("names an infinite minimum", () => {
    const bytes = golden.bytes("Q4_K.bytes")
    const [, K = 0] = golden.shape("Q4_K.values")
    bytes.set([0, 0x7c], 144 + 2)
    expect(() => repack("Q4_K", bytes, 8, K)).toThrow(WeightError)
  })

  it("agrees with dequantize on random bytes of every type", () => {
    const next = random(7)
    for (const type of quantized) {
      const { blockSize, blockBytes } = blockType(type)
      const [N, K] = [3, 2 * blockSize]
      const bytes = Uint8Array.from({ length: N * 2 * blockBytes }, () => next() * 0x3c)
      const weights = expand(repack(type, bytes, N, K))
      const values = dequantize(type, bytes, new Float32Array(N * K))
      const greatest = Math.max(...values.map(Math.abs))
      for (let i = 0; i < values.length; i++) {
        expect(Math.abs((weights[i] ?? 0) - (values[i] ?? 0))).toBeLessThanOrEqual(greatest * 2 ** -22)
      }
    }
  })
})
