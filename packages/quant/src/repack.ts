/**
 * GGUF blocks to the form of the kernel, without going through floats.
 * @module
 */
import type { BlockLayout, BlockLinear } from "./BlockLinear.ts"
import { type BlockType, blockBytes, blockType, coderOf } from "./blockTypes.ts"
import { type BlockCoder, type Source, sourceOf, squeeze } from "./internal/coder.ts"
import { WeightError } from "./WeightError.ts"

/** The layout that {@link repack} gives to a type, or undefined for plain floats (F32, F16, BF16). */
export const layoutOf = (type: BlockType): BlockLayout | undefined => {
  blockType(type)
  const coder = coderOf(type)
  return (
    coder && {
      bits: coder.bits,
      blockSize: coder.groupSize,
      hasZeroPoints: false,
      hasOffsets: coder.hasMin,
      ...(coder.note === undefined ? {} : { note: coder.note })
    }
  )
}

/**
 * Repacks a matrix (N, K), rows of whole blocks of `type` at any byte offset, into fresh arrays.
 *
 * Codes are shifted so that the kernel's default zero point (8 or 128) is the format's zero, or the middle of the codes
 * of a format with minima; the shift goes into the offset. With W the exact value of the format's formula:
 * - symmetric types: scales * (q - zero) = W exactly, and W needs no rounding to be an f32;
 * - types with minima: scales * (q - zero) + offset = W + e with |e| <= 2^-24 |offset|, since only the offset,
 *   min + centre * scale, is rounded to f32, once.
 *
 * O(N K), 0.7 to 2 ns a weight. Throws `RangeError` if N or K is not a positive integer, K is not a whole number of
 * blocks, `bytes` has not the length, or `type` is plain floats; `WeightError` if a scale or offset is not finite.
 */
export const repack = (type: BlockType, bytes: Uint8Array, outFeatures: number, inFeatures: number): BlockLinear => {
  const coder = coderOf(type)
  if (coder === undefined) throw new RangeError(`Cannot repack ${type}: it has no blocks`)
  if (!Number.isSafeInteger(outFeatures) || outFeatures < 1 || !Number.isSafeInteger(inFeatures) || inFeatures < 1) {
    throw new RangeError(`Cannot repack a matrix (${outFeatures}, ${inFeatures})`)
  }
  const rowBytes = blockBytes(type, inFeatures)
  if (bytes.length !== outFeatures * rowBytes) {
    throw new RangeError(
      `(${outFeatures}, ${inFeatures}) of ${type} takes ${outFeatures * rowBytes} bytes: got ${bytes.length}`
    )
  }
  const { bits, groupSize, hasMin } = coder
  const groups = inFeatures / groupSize
  const packed = new Uint8Array((outFeatures * inFeatures * bits) / 8)
  const scales = new Float32Array(outFeatures * groups)
  const offsets = hasMin ? new Float32Array(groups * outFeatures) : undefined
  const mins = new Float32Array(groups)
  const source = sourceOf(bytes)
  const writeCodes = codeWriter(coder, packed, inFeatures)
  for (let n = 0; n < outFeatures; n++) {
    coder.readScales(source, n * rowBytes, inFeatures / coder.blockSize, scales, n * groups, mins)
    checkFinite("scale", n, groupSize, scales, n * groups, groups)
    if (offsets !== undefined) {
      for (let g = 0; g < groups; g++) mins[g] = mins[g]! + coder.centre * scales[n * groups + g]!
      checkFinite("minimum", n, groupSize, mins, 0, groups)
      for (let g = 0; g < groups; g++) offsets[g * outFeatures + n] = mins[g]!
    }
    writeCodes(source, n)
  }
  return {
    bits,
    blockSize: groupSize,
    inFeatures,
    outFeatures,
    packed,
    scales,
    ...(offsets === undefined ? {} : { offsets })
  }
}

const checkFinite = (
  what: string,
  row: number,
  groupSize: number,
  values: Float32Array,
  from: number,
  count: number
): void => {
  for (let g = 0; g < count; g++) {
    const value = values[from + g]!
    if (!Number.isFinite(value)) {
      throw new WeightError({ row, column: g * groupSize, detail: `the ${what} of a block is ${value}` })
    }
  }
}

/** Writes the codes of row `n`, so that `centre` becomes the default zero point of the kernel. */
const codeWriter = (coder: BlockCoder, packed: Uint8Array, inFeatures: number) => {
  const { bits, blockSize, blockBytes, centre } = coder
  const blocks = inFeatures / blockSize
  const rowBytes = blocks * blockBytes
  // No code moves out of its 4 or 8 bits, so four are moved at once.
  const shift = ((1 << (bits - 1)) - centre) * 0x01010101
  const words = new Uint32Array(packed.buffer)
  if (bits === 8) {
    return (source: Source, n: number) =>
      coder.readCodes(source, n * rowBytes, blocks, words, (n * inFeatures) / 4, shift)
  }
  const { readNibbles } = coder
  if (readNibbles !== undefined) {
    return (source: Source, n: number) => readNibbles(source, n * rowBytes, blocks, words, (n * inFeatures) / 8)
  }
  const codes = new Uint32Array(inFeatures / 4)
  return (source: Source, n: number) => {
    coder.readCodes(source, n * rowBytes, blocks, codes, 0, shift)
    const target = (n * inFeatures) / 8
    for (let i = 0; i < codes.length; i += 2) {
      words[target + (i >> 1)] = squeeze(codes[i]!) | (squeeze(codes[i + 1]!) << 16)
    }
  }
}
