/**
 * LLM.int8: signed bytes with one scale a row.
 * @see https://arxiv.org/abs/2208.07339
 * @module
 */
import type { BlockLayout, BlockLinear } from "./BlockLinear.ts"
import { WeightError } from "./WeightError.ts"

/** The layout of rows of K signed bytes: one scale, repeated for each block. */
export const rowLayout: BlockLayout = {
  bits: 8,
  blockSize: 128,
  hasZeroPoints: false,
  hasOffsets: false,
  note: "8-bit rows in blocks of 128: exact but for the rounding of absmax / 127 to f32"
}

/**
 * codes: i8 (N, K), absmax: f32 (N), value = code * absmax / 127 -> `BlockLinear` of {@link rowLayout}.
 *
 * Fresh arrays. Throws `RangeError` for lengths that do not fit, `WeightError` for an absmax that is NaN or infinite.
 */
export const rowLinear = (codes: Int8Array, absmax: Float32Array, inFeatures: number): BlockLinear => {
  const outFeatures = absmax.length
  if (codes.length !== outFeatures * inFeatures) {
    throw new RangeError(`Cannot read ${codes.length} codes as (${outFeatures}, ${inFeatures})`)
  }
  const { blockSize } = rowLayout
  const blocks = Math.ceil(inFeatures / blockSize)
  const packed = new Uint8Array(outFeatures * blocks * blockSize).fill(128)
  const scales = new Float32Array(outFeatures * blocks)
  for (let n = 0; n < outFeatures; n++) {
    const greatest = absmax[n]!
    if (!Number.isFinite(greatest)) {
      throw new WeightError({ row: n, column: 0, detail: `the greatest weight of a row is ${greatest}` })
    }
    scales.fill(greatest / 127, n * blocks, (n + 1) * blocks)
    const to = n * blocks * blockSize
    for (let k = 0; k < inFeatures; k++) packed[to + k] = codes[n * inFeatures + k]! + 128
  }
  return { bits: 8, blockSize, inFeatures, outFeatures, packed, scales }
}

/**
 * The values of such rows: f32 (N, K) into `out`, each rounded once to f32. Throws `RangeError` for lengths that do not fit.
 * @returns `out`
 */
export const expandRows = (codes: Int8Array, absmax: Float32Array, out: Float32Array): Float32Array => {
  const columns = codes.length / absmax.length
  if (!Number.isInteger(columns) || out.length !== codes.length) {
    throw new RangeError(`Cannot expand ${codes.length} codes of ${absmax.length} rows to ${out.length} values`)
  }
  for (let i = 0; i < out.length; i++) out[i] = (codes[i]! * absmax[Math.floor(i / columns)]!) / 127
  return out
}
