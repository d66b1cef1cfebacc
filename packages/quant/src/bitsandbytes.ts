/**
 * Quantizers of bitsandbytes: NF4, and the rows of LLM.int8; equal to its results to the bit.
 * @module
 */
import type { CodebookBlocks } from "./codebook.ts"
import { type DynamicBlocks, quantizeDynamic } from "./dynamicMap.ts"
import { roundEven } from "./internal/groupGrid.ts"
import { WeightError } from "./WeightError.ts"

/**
 * f32 (16): the values of NF4, quantiles of a normal distribution over the greatest, with a zero.
 * @see {@link https://arxiv.org/abs/2305.14314} QLoRA, section 3 and appendix E
 */
export const nf4Values: Float32Array = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1
)

const BORDERS = Float64Array.from({ length: 15 }, (_, i) => (nf4Values[i]! + nf4Values[i + 1]!) / 2)

/**
 * Rounds w: f32 (values), a matrix row after row, to the nearest of 16 values times the greatest magnitude of its block.
 * Fresh arrays; `w` is borrowed. A weight is off by at most 0.1521 of that magnitude. 10 ns a value.
 *
 * Throws `RangeError` for a block that is not a power of two from 32 to 4096, `WeightError` for NaN and infinities.
 */
export const quantizeNf4 = (w: Float32Array, block = 64): CodebookBlocks => {
  if (!(block >= 32 && block <= 4096 && Number.isInteger(Math.log2(block)))) {
    throw new RangeError(`Cannot quantize in blocks of ${block}: a power of two from 32 to 4096`)
  }
  const codes = new Uint8Array(Math.ceil(w.length / 2))
  const absmax = new Float32Array(Math.ceil(w.length / block))
  for (let b = 0; b < absmax.length; b++) {
    const end = Math.min((b + 1) * block, w.length)
    const greatest = greatestOf(w, b * block, end, b * block)
    absmax[b] = greatest
    for (let i = b * block; i < end; i++) {
      const value = greatest === 0 ? 0 : Math.fround(w[i]! / greatest)
      let code = 0
      for (let border = 0; border < 15; border++) if (value > BORDERS[border]!) code++
      codes[i >> 1]! |= i % 2 === 0 ? code << 4 : code
    }
  }
  return { codes, table: nf4Values, absmax, blockSize: block }
}

/**
 * Double quantization: the magnitudes of blocks less their mean, in dynamic 8-bit blocks of 256.
 * absmax: f32 (blocks), borrowed. Magnitude b comes back as `offset` + the value of its code.
 */
export const nestAbsmax = (absmax: Float32Array): { readonly nested: DynamicBlocks; readonly offset: number } => {
  const offset = Math.fround(absmax.reduce((sum, value) => sum + value, 0) / Math.max(1, absmax.length))
  return {
    nested: quantizeDynamic(
      absmax.map((value) => value - offset),
      256
    ),
    offset
  }
}

/** Rows of LLM.int8: W[n,k] = codes[n,k] * absmax[n] / 127. */
export interface Int8Rows {
  /** i8 (N, K) */
  readonly codes: Int8Array
  /** f32 (N): the greatest magnitude of each row. */
  readonly absmax: Float32Array
}

/**
 * Rounds w: f32 (N, K) to 8 bits by row, within half a step of 1/127 of the row's greatest magnitude. (What LLM.int8 does
 * about outliers, it does to activations at run time.) Throws `RangeError` for a bad shape, `WeightError` for NaN and infinities.
 * @see {@link https://arxiv.org/abs/2208.07339} LLM.int8(), section 3
 */
export const quantizeInt8Rows = (w: Float32Array, outFeatures: number, inFeatures: number): Int8Rows => {
  if (outFeatures < 1 || inFeatures < 1 || w.length !== outFeatures * inFeatures) {
    throw new RangeError(`Cannot quantize ${w.length} values as a matrix (${outFeatures}, ${inFeatures})`)
  }
  const codes = new Int8Array(w.length)
  const absmax = new Float32Array(outFeatures)
  for (let n = 0; n < outFeatures; n++) {
    const end = (n + 1) * inFeatures
    const greatest = greatestOf(w, n * inFeatures, end, 0, n)
    absmax[n] = greatest
    const factor = greatest === 0 ? 0 : Math.fround(127 / greatest)
    for (let i = n * inFeatures; i < end; i++) codes[i] = roundEven(Math.fround(w[i]! * factor))
  }
  return { codes, absmax }
}

const greatestOf = (w: Float32Array, from: number, end: number, column: number, row = 0): number => {
  let greatest = 0
  for (let i = from; i < end; i++) {
    const magnitude = Math.abs(w[i]!)
    if (!(magnitude < Number.POSITIVE_INFINITY)) throw new WeightError({ row, column, detail: `a weight is ${w[i]}` })
    if (magnitude > greatest) greatest = magnitude
  }
  return greatest
}
