/**
 * Readers of the fixtures, and random layers.
 * @module
 */
import { fixture as open } from "../../quant/test/fixture.ts"
import { type Communicator, communicator, type GroupedLinear, memoryChannels, packCodes } from "../src/index.ts"

/** Opens a safetensors fixture by its path under `test/fixtures`; arrays are fresh copies. */
export const fixture = (path: string) => {
  const { bytes } = open(path)
  return {
    u8: bytes,
    i32: (name: string) => new Int32Array(bytes(name).buffer),
    f16: (name: string) => new Uint16Array(bytes(name).buffer),
    f32: (name: string) => new Float32Array(bytes(name).buffer),
    f64: (name: string) => new Float64Array(bytes(name).buffer)
  }
}

/** A finite normal or subnormal f16 as a number. */
export const half = (bits: number): number => {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023]
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25)
  return bits & 0x8000 ? -magnitude : magnitude
}

/** Reproducible numbers: uniform in [0, 1). */
export const random = (seed: number) => {
  let state = (seed * 2654435761) >>> 0
  return (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

export type Random = ReturnType<typeof random>

/** A whole number in from .. to. */
export const between = (next: Random, from: number, to: number): number => from + Math.floor(next() * (to - from + 1))

export const pick = <A>(next: Random, items: ReadonlyArray<A>): A => {
  const item = items[between(next, 0, items.length - 1)]
  if (item === undefined) throw new Error("nothing to pick from")
  return item
}

export const shuffled = (next: Random, length: number): Uint32Array => {
  const keys = Float64Array.from({ length }, next)
  return Uint32Array.from(keys, (_, i) => i).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0))
}

export const values = (next: Random, length: number): Float32Array =>
  Float32Array.from({ length }, () => Math.fround(next() * 2 - 1))

export interface LayerOptions {
  readonly bits?: 4 | 8
  readonly groupSize: number
  readonly symmetric?: boolean
  /** Rows in the order of their groups; absent: natural. */
  readonly order?: Uint32Array
  readonly name?: string
}

export const layer = (next: Random, inFeatures: number, outFeatures: number, options: LayerOptions): GroupedLinear => {
  const { bits = 4, groupSize, symmetric = false, order, name = "layer" } = options
  const groups = Math.ceil(inFeatures / groupSize)
  const levels = 2 ** bits
  const codes = Uint8Array.from({ length: inFeatures * outFeatures }, () => between(next, 0, levels - 1))
  const groupIndex = new Int32Array(inFeatures)
  order?.forEach((row, at) => {
    groupIndex[row] = Math.floor(at / groupSize)
  })
  return {
    name,
    bits,
    inFeatures,
    outFeatures,
    groupSize,
    codes: packCodes(codes, inFeatures, outFeatures, bits),
    scales: Float32Array.from({ length: groups * outFeatures }, () => (0.5 + next()) / levels / Math.sqrt(inFeatures)),
    ...(symmetric
      ? {}
      : { zeros: Uint8Array.from({ length: groups * outFeatures }, () => between(next, 0, levels - 1)) }),
    ...(order === undefined ? {} : { groupIndex })
  }
}

/** The layer's weights by its definition: f64 (K, N). */
export const dense = (linear: GroupedLinear): Float64Array => {
  const { bits, inFeatures: K, outFeatures: N, groupSize, codes, scales, zeros, groupIndex } = linear
  const out = new Float64Array(K * N)
  for (let k = 0; k < K; k++) {
    const group = groupIndex?.[k] ?? Math.floor(k / groupSize)
    for (let n = 0; n < N; n++) {
      const word = codes[Math.floor((k * bits) / 32) * N + n] ?? 0
      const code = Math.floor(word / 2 ** ((k * bits) % 32)) % 2 ** bits
      out[k * N + n] = (scales[group * N + n] ?? 0) * (code - (zeros?.[group * N + n] ?? 2 ** (bits - 1)))
    }
  }
  return out
}

/** x W: x (rows, K), w (K, N) -> (rows, N) */
export const matmul = (
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  rows: number,
  K: number,
  N: number
): Float64Array => {
  const y = new Float64Array(rows * N)
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < K; k++) {
      const value = x[row * K + k] ?? 0
      for (let n = 0; n < N; n++) y[row * N + n] = (y[row * N + n] ?? 0) + value * (w[k * N + n] ?? 0)
    }
  }
  return y
}

/** Greatest difference, as a part of the greatest magnitude in `expected`. */
export const distance = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let [difference, magnitude] = [0, 0]
  for (let i = 0; i < actual.length; i++) {
    const [a, e] = [actual[i] ?? Number.NaN, expected[i] ?? Number.NaN]
    if (Number.isNaN(a - e)) return Number.POSITIVE_INFINITY
    difference = Math.max(difference, Math.abs(a - e))
    magnitude = Math.max(magnitude, Math.abs(e))
  }
  return difference / magnitude
}

/** Runs all ranks of a group in this thread. */
export const together = async <A>(size: number, rank: (group: Communicator) => Promise<A>): Promise<ReadonlyArray<A>> =>
  Promise.all(memoryChannels(size).channels.map((channel) => rank(communicator(channel))))
