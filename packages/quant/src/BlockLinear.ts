/**
 * A linear layer in the form that the `MatMulNBits` kernel takes: integer codes in blocks along the input features.
 * @module
 */

/**
 * How the blocks of a {@link BlockLinear} are laid out: what a tensor will become, known from its type alone, before
 * any byte is read.
 */
export interface BlockLayout {
  readonly bits: 2 | 4 | 8
  /** Values that share a scale: 16, 32, 64, 128 or 256. */
  readonly blockSize: number
  readonly hasZeroPoints: boolean
  readonly hasOffsets: boolean
  /** Why the kernel form is not the file's own blocks, if so, and the error that this brings (0: exact). */
  readonly note?: string
}

/**
 * The layer y = x Wᵀ with W (N, K), where W[n,k] = scales[n,b] * (q[n,k] - zero[n,b]) + offsets[b,n] and
 * b = floor(k / blockSize).
 *
 * `offsets` is the float minimum of Q4_1, Q5_1, the K-quants and their like. A kernel without offsets computes the rest,
 * and blocksum(x) · offsets is added; it is absent for symmetric formats. In a last block that K does not fill, the
 * missing codes equal the zero point.
 */
export interface BlockLinear {
  readonly bits: 2 | 4 | 8
  /** 16, 32, 64, 128 or 256. */
  readonly blockSize: number
  /** K */
  readonly inFeatures: number
  /** N */
  readonly outFeatures: number
  /** u8 (N, ceil(K / blockSize), blockSize * bits / 8), low bits first. */
  readonly packed: Uint8Array
  /** f32 (N, ceil(K / blockSize)) */
  readonly scales: Float32Array
  /** u8 (N, ceil(blocks * bits / 8)), packed low bits first; absent = 2^(bits-1). */
  readonly zeroPoints?: Uint8Array
  /** f32 (ceil(K / blockSize), N) */
  readonly offsets?: Float32Array
}

/** Bytes of each array of a {@link BlockLinear}; 0 where the layout has none. */
export interface BlockLinearBytes {
  readonly packed: number
  readonly scales: number
  readonly zeroPoints: number
  readonly offsets: number
  readonly total: number
}

/** The layout of a layer that exists. */
export const layoutOfLinear = (linear: BlockLinear): BlockLayout => ({
  bits: linear.bits,
  blockSize: linear.blockSize,
  hasZeroPoints: linear.zeroPoints !== undefined,
  hasOffsets: linear.offsets !== undefined
})

/** Whether layers of both layouts (and equal K) can be joined along N by `concatRows`. Notes are not compared. */
export const sameLayout = (a: BlockLayout, b: BlockLayout): boolean =>
  a.bits === b.bits &&
  a.blockSize === b.blockSize &&
  a.hasZeroPoints === b.hasZeroPoints &&
  a.hasOffsets === b.hasOffsets

/** Sizes of a layer (outFeatures, inFeatures) in a layout, from the shape alone. */
export const linearBytes = (layout: BlockLayout, outFeatures: number, inFeatures: number): BlockLinearBytes => {
  const blocks = Math.ceil(inFeatures / layout.blockSize)
  const packed = outFeatures * blocks * ((layout.blockSize * layout.bits) / 8)
  const scales = outFeatures * blocks * 4
  const zeroPoints = layout.hasZeroPoints ? outFeatures * Math.ceil((blocks * layout.bits) / 8) : 0
  const offsets = layout.hasOffsets ? outFeatures * blocks * 4 : 0
  return { packed, scales, zeroPoints, offsets, total: packed + scales + zeroPoints + offsets }
}

/**
 * The weights of a layer as floats: f32 (N, K) into `out`, each the exact value of its formula rounded once to f32.
 *
 * Throws `RangeError` if `out` does not hold exactly N * K values. Allocates nothing else.
 * @returns `out`
 */
export const expand = (
  linear: BlockLinear,
  out = new Float32Array(linear.outFeatures * linear.inFeatures)
): Float32Array => {
  const { bits, blockSize, inFeatures, outFeatures, packed, scales, zeroPoints, offsets } = linear
  if (out.length !== outFeatures * inFeatures) {
    throw new RangeError(`Cannot expand (${outFeatures}, ${inFeatures}) weights into ${out.length} values`)
  }
  const blocks = Math.ceil(inFeatures / blockSize)
  const zeroBytes = Math.ceil((blocks * bits) / 8)
  const mask = (1 << bits) - 1
  const perByte = 8 / bits
  for (let n = 0; n < outFeatures; n++) {
    for (let b = 0; b < blocks; b++) {
      const scale = scales[n * blocks + b]!
      const zeroByte = zeroPoints?.[n * zeroBytes + Math.floor((b * bits) / 8)]
      const zero = zeroByte === undefined ? 1 << (bits - 1) : (zeroByte >> ((b * bits) % 8)) & mask
      // Adding a zero offset would turn -0 into 0.
      const offset = offsets === undefined ? -0 : offsets[b * outFeatures + n]!
      const first = b * blockSize
      const count = Math.min(blockSize, inFeatures - first)
      const source = ((n * blocks + b) * blockSize) / perByte
      const target = n * inFeatures + first
      for (let i = 0; i < count; i++) {
        const code = (packed[source + Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & mask
        out[target + i] = scale * (code - zero) + offset
      }
    }
  }
  return out
}
