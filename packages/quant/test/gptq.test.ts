import { describe, expect, it } from "vitest"
import { expandGptq, gptq, gptqTensors, roundToNearest, WeightError } from "../src/index.ts"
import { fixture, normal } from "./fixture.ts"

/** Settings and mean squared output errors of the reference, by case. */
const cases = {
  "b4-g32-sym": {
    bits: 4,
    size: 32,
    act: false,
    fixed: false,
    sym: true,
    error: 15.080975654313992,
    plain: 32.70250219603718
  },
  "b4-g32-act-sym": {
    bits: 4,
    size: 32,
    act: true,
    fixed: false,
    sym: true,
    error: 8.354362302570099,
    plain: 32.70250219603718
  },
  "b4-g32-act-asym": {
    bits: 4,
    size: 32,
    act: true,
    fixed: false,
    sym: false,
    error: 6.3431925350395435,
    plain: 23.26913045147777
  },
  "b4-g32-act-static-sym": {
    bits: 4,
    size: 32,
    act: true,
    fixed: true,
    sym: true,
    error: 8.887449678997038,
    plain: 32.70250219603718
  },
  "b4-g-1-act-sym": {
    bits: 4,
    size: 96,
    act: true,
    fixed: false,
    sym: true,
    error: 11.120608437252802,
    plain: 40.285052545347234
  },
  "b3-g48-asym": {
    bits: 3,
    size: 48,
    act: false,
    fixed: false,
    sym: false,
    error: 61.2154487037855,
    plain: 118.51128353703112
  },
  "b8-g-1-sym": {
    bits: 8,
    size: 96,
    act: false,
    fixed: false,
    sym: true,
    error: 0.06623713175998722,
    plain: 0.15317804874596913
  }
} as const

const inputs = fixture("quant/gptq-algorithm/inputs.safetensors")
const f64 = (bytes: Uint8Array) => new Float64Array(bytes.buffer)
const [N, K, T] = [40, 96, 256]
const [w, x, h] = [f64(inputs.bytes("W")), f64(inputs.bytes("X")), f64(inputs.bytes("H"))]

/** Mean squared error of the layer's outputs over the fixture's inputs. */
const outputError = (weights: Float32Array): number => {
  let sum = 0
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      let difference = 0
      for (let k = 0; k < K; k++) difference += (x[t * K + k] ?? 0) * ((w[n * K + k] ?? 0) - (weights[n * K + k] ?? 0))
      sum += difference ** 2
    }
  }
  return sum / (T * N)
}

describe.each(Object.entries(cases))("%s", (name, { bits, size, act, fixed, sym, error, plain }) => {
  const expected = fixture(`quant/gptq-algorithm/${name}.safetensors`)
  const options = { bits, groupSize: size, symmetric: sym, halfScales: false }
  const order = act ? "activity" : "natural"
  const layer = gptq(w, N, K, h, { ...options, order, staticGroups: fixed })

  /**
   * The lowest weight of a symmetric group lies half-way between codes 0 and 1, where the last bit of a sum decides. Rows
   * do not depend on each other: one that parted from the reference there is left out.
   */
  const codes = expected.bytes("codes")
  const row = (n: number) => Array.from({ length: K }, (_, k) => layer.codes[k * N + n] ?? 0)
  const parted = Array.from({ length: N }, (_, n) => n).filter((n) => {
    const first = row(n).findIndex((code, k) => code !== codes[n * K + k])
    return first >= 0 && sym && row(n)[first] === 0 && codes[n * K + first] === 1
  })

  it("has the codes, zero points and groups of the reference, and its scales within 1e-12", () => {
    expect(parted.length).toBeLessThanOrEqual(name === "b4-g32-sym" ? 1 : 0)
    for (let n = 0; n < N; n++) {
      if (!parted.includes(n)) expect(row(n)).toEqual(Array.from(codes.subarray(n * K, (n + 1) * K)))
    }
    expect(layer.zeros).toEqual(expected.bytes("zeros"))
    expect(layer.groupIndex).toEqual(new Int32Array(expected.bytes("g_idx").buffer))
    const scales = f64(expected.bytes("scales"))
    layer.scales.forEach((scale, i) => {
      if (!parted.includes(i % N)) expect(Math.abs(scale / (scales[i] ?? 0) - 1)).toBeLessThan(1e-12)
    })
  })

  it("has the output error of the reference, and so has rounding to nearest", () => {
    expect(outputError(expandGptq(layer)) / error).toBeCloseTo(1, parted.length === 0 ? 5 : 3)
    expect(outputError(expandGptq(roundToNearest(w, N, K, options))) / plain).toBeCloseTo(1, 5)
  })
})

describe("gptq", () => {
  const options = { bits: 4, groupSize: 32 } as const

  it("keeps groups contiguous with group-aware reordering, and is better for it", () => {
    const grouped = gptq(w, N, K, h, { ...options, order: "grouped" })
    expect(Array.from(grouped.groupIndex)).toEqual(Array.from({ length: K }, (_, k) => Math.floor(k / 32)))
    const natural = outputError(expandGptq(gptq(w, N, K, h, options)))
    expect(outputError(expandGptq(grouped))).toBeLessThan(natural)
  })

  it("is rounding to nearest where inputs are independent", () => {
    const identity = Float64Array.from({ length: K * K }, (_, i) => (i % (K + 1) === 0 ? 1 : 0))
    expect(gptq(w, N, K, identity, options)).toEqual(roundToNearest(w, N, K, options))
  })

  it("does the same in groups larger than the lazy update, and with a last group that is short", () => {
    const [rows, columns] = [8, 300]
    const weights = normal(1, rows * columns)
    const samples = normal(2, 900 * columns)
    const hessian = new Float64Array(columns * columns)
    for (let t = 0; t < 900; t++) {
      for (let i = 0; i < columns; i++) {
        for (let j = 0; j < columns; j++)
          hessian[i * columns + j]! += (samples[t * columns + i] ?? 0) * (samples[t * columns + j] ?? 0)
      }
    }
    for (const groupSize of [48, 128, 200, 1000]) {
      for (const order of ["natural", "activity", "grouped"] as const) {
        const layer = gptq(weights, rows, columns, hessian, { bits: 4, groupSize, order })
        const sizes = new Map<number, number>()
        for (const group of layer.groupIndex) sizes.set(group, (sizes.get(group) ?? 0) + 1)
        const [size, groups] = [Math.min(columns, groupSize), Math.ceil(columns / groupSize)]
        expect([...sizes.values()].sort((a, b) => b - a)).toEqual([
          ...new Array<number>(groups - 1).fill(size),
          columns - size * (groups - 1)
        ])
        expect(error(layer, weights, hessian)).toBeLessThan(
          error(roundToNearest(weights, rows, columns, { bits: 4, groupSize }), weights, hessian)
        )
      }
    }
  })

  /** tr(Δ H Δᵀ) */
  const error = (layer: ReturnType<typeof gptq>, weights: Float32Array, hessian: Float64Array): number => {
    const difference = expandGptq(layer).map((value, i) => value - (weights[i] ?? 0))
    const columns = layer.inFeatures
    let sum = 0
    for (let n = 0; n < layer.outFeatures; n++) {
      for (let i = 0; i < columns; i++) {
        for (let j = 0; j < columns; j++) {
          sum +=
            (difference[n * columns + i] ?? 0) * (hessian[i * columns + j] ?? 0) * (difference[n * columns + j] ?? 0)
        }
      }
    }
    return sum
  }

  it("drops the weights of inputs that are always zero, and copes with inputs that repeat each other", () => {
    const hessian = new Float64Array(16)
    for (const i of [0, 1, 3]) for (const j of [0, 1, 3]) hessian[i * 4 + j] = 1
    const layer = gptq(Float32Array.of(1, 2, 3, 4), 1, 4, hessian, { bits: 8, groupSize: 4, damping: 1e-30 })
    expect(expandGptq(layer)[2]).toBe(0)
  })

  it("holds scales that f16 can store", () => {
    const { scales } = gptq(w, N, K, h, options)
    for (const scale of scales) expect(scale * 2 ** (10 - Math.floor(Math.log2(scale)))).toSatisfy(Number.isInteger)
  })

  it("refuses what it cannot quantize", () => {
    expect(() => gptq(w, N, K, h.subarray(1), options)).toThrow(RangeError)
    expect(() => gptq(w, N, K - 1, h, options)).toThrow(RangeError)
    expect(() => gptq(w, N, K, h, { bits: 4, groupSize: 0 })).toThrow(RangeError)
    expect(() => roundToNearest(w, N, K, { bits: 5 as 4, groupSize: 32 })).toThrow(RangeError)
    expect(() =>
      roundToNearest(
        w.map((v, i) => (i === 100 ? Number.NaN : v)),
        N,
        K,
        options
      )
    ).toThrow(WeightError)
    expect(() =>
      roundToNearest(
        w.map((v) => v * 1e6),
        N,
        K,
        options
      )
    ).toThrow(WeightError)
    expect(() =>
      gptq(
        w,
        N,
        K,
        h.map((v) => -v),
        options
      )
    ).toThrow(RangeError)
  })
})

describe("gptqTensors", () => {
  it.each([2, 3, 4, 8] as const)("holds codes of %i bits where the format has them", (bits) => {
    const layer = gptq(w.subarray(0, 32 * K), 32, K, h, { bits, groupSize: 32, order: "activity", symmetric: false })
    const reversed = Array.from({ length: 32 }, (_, n) => 31 - n)
    const tensors = gptqTensors(layer, reversed)
    /** Code i of a stream of words. */
    const read = (words: (i: number) => number, i: number): number => {
      const at = i * bits
      const joined = BigInt(words(at >> 5) >>> 0) | (BigInt((words((at >> 5) + 1) ?? 0) >>> 0) << 32n)
      return Number((joined >> BigInt(at & 31)) & BigInt(2 ** bits - 1))
    }
    for (let n = 0; n < 32; n++) {
      for (let k = 0; k < K; k++) {
        expect(read((word) => tensors.qweight[word * 32 + n] ?? 0, k)).toBe(layer.codes[k * 32 + 31 - n])
      }
      for (let g = 0; g < 3; g++) {
        const stored = read((word) => tensors.qzeros[g * bits + word] ?? 0, n)
        expect((stored + 1) & (2 ** bits - 1)).toBe(layer.zeros[g * 32 + 31 - n])
      }
    }
    expect(tensors.groupIndex).toEqual(layer.groupIndex)
    expect(tensors.scales.length).toBe(3 * 32)
  })

  it("refuses layers that do not fill words", () => {
    expect(() => gptqTensors(roundToNearest(w.subarray(0, 3 * K), 3, K, { bits: 4, groupSize: 32 }))).toThrow(
      RangeError
    )
  })
})
