/** GPTQ and AWQ codes against the checkpoints and the algorithm's outputs that PyTorch wrote. */
import { describe, expect, it } from "vitest"
import {
  awqCodes,
  expand,
  expandGroups,
  type GroupedCodes,
  groupedBlocks,
  groupedLayouts,
  groupOrder,
  unpackAwqZeros,
  unpackZeros,
  WeightError
} from "../src/index.ts"
import { bits as bitsOf, fixture, random } from "./fixture.ts"

type Width = GroupedCodes["bits"]

/** Bit by bit: value i of a stream of words that lie `stride` apart from `first`. */
const streamed = (words: Uint32Array, first: number, stride: number, i: number, width: number): number => {
  let value = 0
  for (let bit = 0; bit < width; bit++) {
    const at = i * width + bit
    value |= (((words[first + (at >> 5) * stride] ?? 0) >>> (at & 31)) & 1) << bit
  }
  return value
}

/** Codes, one a number, as words: the inverse of `streamed`. */
const packColumns = (codes: ArrayLike<number>, K: number, N: number, width: number): Uint32Array => {
  const words = new Uint32Array((K * width * N) / 32)
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let bit = 0; bit < width; bit++) {
        const at = k * width + bit
        words[(at >> 5) * N + n]! |= (((codes[k * N + n] ?? 0) >> bit) & 1) << (at & 31)
      }
    }
  }
  return words
}

/** A layer of a checkpoint, and its weights (N, K) by a reader that is slow and obvious. */
const checkpointLayer = (name: string, layer: string, bits: Width, minusOne: boolean, groupSize: number) => {
  const file = fixture(`quant/${name}/model.safetensors`)
  const words = (part: string) => new Uint32Array(file.bytes(`${layer}.${part}`).buffer)
  const [wordRows = 0, N = 0] = file.shape(`${layer}.qweight`)
  const K = (wordRows * 32) / bits
  const size = groupSize === -1 ? K : groupSize
  const groups = K / size
  const halves = file.u16(`${layer}.scales`)
  const table = fixture("quant/number-tables.safetensors").f32("f16_to_f32")
  const scales = Float32Array.from(halves, (pattern) => table[pattern] ?? 0)
  const groupIndex = words("g_idx")
  const [codes, packedZeros] = [words("qweight"), words("qzeros")]
  const weights = new Float32Array(N * K)
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const g = groupIndex[k] ?? 0
      const stored = streamed(packedZeros, (g * N * bits) / 32, 1, n, bits)
      const zero = (stored + (minusOne ? 1 : 0)) % 2 ** bits
      weights[n * K + k] = (scales[g * N + n] ?? 0) * (streamed(codes, n, N, k, bits) - zero)
    }
  }
  const zeros = unpackZeros(packedZeros, groups, N, bits, minusOne)
  const linear: GroupedCodes = {
    bits,
    inFeatures: K,
    outFeatures: N,
    groupSize: size,
    codes,
    scales,
    zeros,
    groupIndex
  }
  return { linear, weights }
}

/** Columns of a matrix (N, K) put where they came from. */
const unordered = (values: Float32Array, order: Uint32Array): Float32Array => {
  const out = new Float32Array(values.length)
  const K = order.length
  for (let i = 0; i < values.length; i++) out[i - (i % K) + (order[i % K] ?? 0)] = values[i] ?? 0
  return out
}

const checkpoints: ReadonlyArray<readonly [string, Width, boolean, number]> = [
  ["gptq-2bit-g32-asym", 2, true, 32],
  ["gptq-3bit-g64-act-asym", 3, true, 64],
  ["gptq-4bit-column-act-sym", 4, true, -1],
  ["gptq-4bit-g32-act-asym", 4, true, 32],
  ["gptq-4bit-g32-act-static", 4, true, 32],
  ["gptq-4bit-g32-act-sym", 4, true, 32],
  ["gptq-4bit-g32-v2-asym", 4, false, 32],
  ["gptq-4bit-g64-asym", 4, true, 64],
  ["gptq-8bit-g128-sym", 8, true, 128]
]

describe.each(checkpoints)("%s", (name, bits, minusOne, groupSize) => {
  const { linear, weights } = checkpointLayer(name, "model.layers.0.mlp.down_proj", bits, minusOne, groupSize)
  const { inFeatures: K, outFeatures: N } = linear
  const { order } = groupOrder(linear.groupIndex ?? [], K / linear.groupSize)

  it("expands to the weights of the format, to the bit", () => {
    expect(bitsOf(expandGroups(linear, 0, N, new Float32Array(N * K)))).toEqual(bitsOf(weights))
    expect(bitsOf(expandGroups(linear, 5, 9, new Float32Array(4 * K)))).toEqual(bitsOf(weights.slice(5 * K, 9 * K)))
  })

  it("becomes blocks of every layout without a change", () => {
    const layouts = groupedLayouts(bits, linear.groupSize, K, true)
    expect(layouts.length).toBeGreaterThan(0)
    for (const layout of layouts) {
      const blocks = groupedBlocks(linear, { rows: order, bits: layout.bits, blockSize: layout.blockSize })
      expect(bitsOf(unordered(expand(blocks), order))).toEqual(bitsOf(weights))
    }
  })

  it("takes part of the outputs", () => {
    const { bits: width = 4, blockSize = 0 } = groupedLayouts(bits, linear.groupSize, K, true)[0] ?? {}
    const columns = Uint32Array.of(3, 1, 8)
    const blocks = groupedBlocks(linear, { rows: order, columns, bits: width, blockSize })
    const expected = Float32Array.from([...columns].flatMap((n) => [...weights.subarray(n * K, (n + 1) * K)]))
    expect(bitsOf(unordered(expand(blocks), order))).toEqual(bitsOf(expected))
  })
})

describe("the algorithm's outputs", () => {
  it.each([
    ["b4-g32-act-sym", 4, 32],
    ["b4-g32-act-asym", 4, 32],
    ["b4-g32-act-static-sym", 4, 32],
    ["b4-g-1-act-sym", 4, 96],
    ["b3-g48-asym", 3, 48],
    ["b8-g-1-sym", 8, 96]
  ] as const)("%s", (name, bits, groupSize) => {
    const file = fixture(`quant/gptq-algorithm/${name}.safetensors`)
    const [N = 0, K = 0] = file.shape("codes")
    const codes = file.bytes("codes")
    const transposed = Uint8Array.from({ length: K * N }, (_, i) => codes[(i % N) * K + Math.floor(i / N)] ?? 0)
    const linear: GroupedCodes = {
      bits,
      inFeatures: K,
      outFeatures: N,
      groupSize,
      codes: packColumns(transposed, K, N, bits),
      scales: Float32Array.from(new Float64Array(file.bytes("scales").buffer)),
      zeros: file.bytes("zeros"),
      groupIndex: new Uint32Array(file.bytes("g_idx").buffer)
    }
    const expected = new Float64Array(file.bytes("dequantized").buffer)
    const got = expandGroups(linear, 0, N, new Float32Array(N * K))
    // the scales of the file are f64
    for (let i = 0; i < got.length; i++) {
      expect(Math.abs((got[i] ?? 0) - (expected[i] ?? 0))).toBeLessThanOrEqual(2 ** -22 * Math.abs(expected[i] ?? 0))
    }
  })
})

describe("symmetric codes", () => {
  it.each([
    [2, 4],
    [2, 2],
    [3, 4],
    [4, 4],
    [8, 8]
  ] as const)("of %i bits need no zero points in %i", (bits, width) => {
    const next = random(bits)
    const [K, N, groupSize] = [96, 8, 32]
    const linear: GroupedCodes = {
      bits,
      inFeatures: K,
      outFeatures: N,
      groupSize,
      codes: packColumns(
        Array.from({ length: K * N }, () => Math.floor(next() * 2 ** bits)),
        K,
        N,
        bits
      ),
      scales: Float32Array.from({ length: 3 * N }, () => next() - 0.5)
    }
    const blocks = groupedBlocks(linear, { bits: width, blockSize: 32 })
    expect(blocks.zeroPoints).toBeUndefined()
    expect(bitsOf(expand(blocks))).toEqual(bitsOf(expandGroups(linear, 0, N, new Float32Array(N * K))))
  })
})

describe("zero points", () => {
  it("of version 1 are stored less one; a zero wraps around", () => {
    expect([...unpackZeros(Uint32Array.of(0x7777777f), 1, 8, 4, true)]).toEqual([0, 8, 8, 8, 8, 8, 8, 8])
    expect([...unpackZeros(Uint32Array.of(0x88888880), 1, 8, 4, false)]).toEqual([0, 8, 8, 8, 8, 8, 8, 8])
  })
  it("of a wrong length are refused", () => {
    expect(() => unpackZeros(new Uint32Array(3), 2, 8, 4, true)).toThrow(RangeError)
    expect(() => unpackAwqZeros(new Uint32Array(3), 2, 8)).toThrow(RangeError)
    expect(() => awqCodes(new Uint32Array(3), 8, 8)).toThrow(RangeError)
  })
})

describe("layouts", () => {
  it("respect groups and the fast kernels", () => {
    const sizes = (bits: Width, group: number, K = 4096) =>
      groupedLayouts(bits, group, K, true).map((layout) => [layout.bits, layout.blockSize])
    expect(sizes(4, 128)).toEqual([[4, 128]])
    expect(sizes(4, 1024)).toEqual([[4, 128]])
    expect(sizes(4, 48)).toEqual([[4, 16]])
    expect(sizes(4, 24)).toEqual([])
    expect(sizes(4, 1000, 1000)).toEqual([[4, 128]])
    expect(sizes(3, 64)).toEqual([[4, 64]])
    expect(sizes(2, 64)).toEqual([
      [2, 64],
      [4, 64]
    ])
    expect(sizes(2, 16)).toEqual([[4, 16]])
    expect(sizes(8, 32)).toEqual([[8, 32]])
  })
})

describe("what cannot be", () => {
  const { linear } = checkpointLayer("gptq-4bit-g32-act-sym", "model.layers.0.mlp.down_proj", 4, true, 32)
  it("is refused", () => {
    // act-order rows as they are: a block mixes groups
    expect(() => groupedBlocks(linear, { bits: 4, blockSize: 32 })).toThrow(RangeError)
    expect(() => groupedBlocks({ ...linear, bits: 8 }, { bits: 4, blockSize: 32 })).toThrow(RangeError)
    expect(() => groupedBlocks(linear, { bits: 4, blockSize: 32, columns: Uint32Array.of(128) })).toThrow(RangeError)
    expect(() => expandGroups(linear, 0, 3, new Float32Array(7))).toThrow(RangeError)
    expect(() => groupOrder([0, 2], 2)).toThrow(RangeError)
  })
  it("names row and column of a scale that is not finite", () => {
    const scales = linear.scales.slice()
    scales[2 * linear.outFeatures + 7] = Number.NaN
    const { order } = groupOrder(linear.groupIndex ?? [], 8)
    expect(() => groupedBlocks({ ...linear, scales }, { rows: order, bits: 4, blockSize: 32 })).toThrow(WeightError)
  })
})
