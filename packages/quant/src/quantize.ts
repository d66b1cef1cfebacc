/**
 * Floats to integer codes in blocks: round to nearest, with a scale chosen per block.
 * @module
 */
import { type BlockLayout, type BlockLinear, expand, linearBytes } from "./BlockLinear.ts"
import { type BlockFit, fitRange, fitSymmetric } from "./internal/blockFit.ts"
import { WeightError } from "./WeightError.ts"

/** What to quantize to. */
export interface QuantizeOptions {
  readonly bits: 4 | 8
  /** Values that share a scale: 16, 32, 64, 128 or 256. Smaller is more exact and larger in memory. */
  readonly blockSize: number
  /**
   * Also choose a zero point per block: for weights that are not centred at zero.
   * @default false
   */
  readonly zeroPoints?: boolean
}

const BLOCK_SIZES: ReadonlyArray<number> = [16, 32, 64, 128, 256]
const GREATEST = (2 - 2 ** -23) * 2 ** 127

/**
 * Quantizes w: f32 (N, K) to a layer with fresh arrays; `w` is borrowed.
 *
 * - 8 bits: step = greatest magnitude / 127 (with zero points: range / 255), every weight within half a step.
 * - 4 bits: a few steps around greatest magnitude / 8 (range / 15) are tried, each followed by the least-squares scale for
 *   its codes, and the one with the least squared error is taken. So the greatest weights of a block may be clipped by
 *   more than half a step where the others gain more by it.
 *
 * Deterministic. O(N K): about 20 ns a weight in 4 bits, 7 ns in 8. Throws `RangeError` for a bad shape or option,
 * `WeightError` for a weight that is NaN or infinite.
 * @example Quantize and measure
 * ```ts
 * import { quantizationError, quantize } from "@swarm/quant"
 *
 * const w = Float32Array.from({ length: 4 * 64 }, (_, i) => Math.sin(i))
 * const linear = quantize(w, 4, 64, { bits: 4, blockSize: 32 })
 * console.log(quantizationError(w, linear) < 0.01) // true
 * ```
 */
export const quantize = (
  w: Float32Array,
  outFeatures: number,
  inFeatures: number,
  { bits, blockSize, zeroPoints: hasZeroPoints = false }: QuantizeOptions
): BlockLinear => {
  if (bits !== 4 && bits !== 8) throw new RangeError(`Cannot quantize to ${bits} bits: 4 or 8`)
  if (!BLOCK_SIZES.includes(blockSize)) {
    throw new RangeError(`Cannot quantize in blocks of ${blockSize}: one of ${BLOCK_SIZES.join(", ")}`)
  }
  if (outFeatures < 1 || inFeatures < 1 || w.length !== outFeatures * inFeatures) {
    throw new RangeError(`Cannot quantize ${w.length} values as a matrix (${outFeatures}, ${inFeatures})`)
  }
  const layout: BlockLayout = { bits, blockSize, hasZeroPoints, hasOffsets: false }
  const sizes = linearBytes(layout, outFeatures, inFeatures)
  const packed = new Uint8Array(sizes.packed)
  const scales = new Float32Array(sizes.scales / 4)
  const zeroPoints = hasZeroPoints ? new Uint8Array(sizes.zeroPoints) : undefined
  const blocks = Math.ceil(inFeatures / blockSize)
  const zeroBytes = Math.ceil((blocks * bits) / 8)
  const codes = new Uint8Array(blockSize)
  const fit: BlockFit = { scale: 0, zero: 0 }
  const fitBlock = hasZeroPoints ? fitRange : fitSymmetric
  for (let n = 0; n < outFeatures; n++) {
    for (let b = 0; b < blocks; b++) {
      const from = n * inFeatures + b * blockSize
      const end = Math.min(from + blockSize, (n + 1) * inFeatures)
      checkFinite(w, n, b * blockSize, from, end)
      fitBlock(w, from, end, bits, codes, fit)
      codes.fill(fit.zero, end - from)
      scales[n * blocks + b] = fit.scale
      if (zeroPoints !== undefined) zeroPoints[n * zeroBytes + ((b * bits) >> 3)]! |= fit.zero << ((b * bits) & 7)
      pack(codes, bits, packed, ((n * blocks + b) * blockSize * bits) / 8)
    }
  }
  return {
    bits,
    blockSize,
    inFeatures,
    outFeatures,
    packed,
    scales,
    ...(zeroPoints === undefined ? {} : { zeroPoints })
  }
}

/**
 * What quantization lost: the squared error over the squared weights, 0 for weights that are all zero.
 *
 * w: f32 (N, K), borrowed. Allocates N * K values. Throws `RangeError` if the shapes differ.
 */
export const quantizationError = (w: Float32Array, linear: BlockLinear): number => {
  const weights = expand(linear)
  if (w.length !== weights.length) throw new RangeError(`Cannot compare ${w.length} weights with ${weights.length}`)
  let error = 0
  let total = 0
  for (let i = 0; i < w.length; i++) {
    error += (w[i]! - weights[i]!) ** 2
    total += w[i]! ** 2
  }
  return total === 0 ? 0 : error / total
}

const checkFinite = (w: Float32Array, row: number, column: number, from: number, end: number): void => {
  for (let i = from; i < end; i++) {
    if (!(Math.abs(w[i]!) <= GREATEST)) throw new WeightError({ row, column, detail: `a weight is ${w[i]}` })
  }
}

const pack = (codes: Uint8Array, bits: 4 | 8, packed: Uint8Array, to: number): void => {
  if (bits === 8) packed.set(codes, to)
  else for (let i = 0; i < codes.length; i += 2) packed[to + (i >> 1)] = codes[i]! | (codes[i + 1]! << 4)
}
