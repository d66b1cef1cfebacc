/**
 * The 32-bit words of GPTQ and AWQ checkpoints.
 * @module
 */

/**
 * Zero points of a GPTQ checkpoint: u32 (G, N * bits / 32), a stream of codes along N, low bits first -> u8 (G, N).
 *
 * `minusOne`: the words hold zero - 1, as version 1 of the format has it (a zero of 0 wrapped around to the greatest
 * code); version 2 holds the zero itself. Throws `RangeError` for words that are not G rows of N codes.
 */
export const unpackZeros = (
  words: Uint32Array,
  groups: number,
  outFeatures: number,
  bits: 2 | 3 | 4 | 8,
  minusOne: boolean
): Uint8Array => {
  const rowWords = (outFeatures * bits) / 32
  if (words.length !== groups * rowWords) {
    throw new RangeError(`Cannot unpack ${words.length} words as zero points (${groups}, ${outFeatures})`)
  }
  const zeros = new Uint8Array(groups * outFeatures)
  const mask = 2 ** bits - 1
  const add = minusOne ? 1 : 0
  for (let g = 0; g < groups; g++) {
    for (let n = 0; n < outFeatures; n++) {
      const at = n * bits
      const word = g * rowWords + (at >>> 5)
      const low = at & 31
      let code = words[word]! >>> low
      if (low + bits > 32) code |= words[word + 1]! << (32 - low)
      zeros[g * outFeatures + n] = (code + add) & mask
    }
  }
  return zeros
}

/** Shift of the nibble that holds column c of eight: AWQ's GEMM kernel takes even columns from the low half of a word. */
const AWQ_SHIFTS = [0, 16, 4, 20, 8, 24, 12, 28]

/**
 * Zero points of an AWQ checkpoint (version "gemm"): u32 (G, N / 8), eight interleaved columns a word -> u8 (G, N).
 * Throws `RangeError` for words that are not G rows of N codes.
 */
export const unpackAwqZeros = (words: Uint32Array, groups: number, outFeatures: number): Uint8Array => {
  if (words.length * 8 !== groups * outFeatures) {
    throw new RangeError(`Cannot unpack ${words.length} words as zero points (${groups}, ${outFeatures})`)
  }
  const zeros = new Uint8Array(groups * outFeatures)
  for (let i = 0; i < zeros.length; i++) zeros[i] = (words[i >>> 3]! >>> AWQ_SHIFTS[i & 7]!) & 15
  return zeros
}

/**
 * Codes of an AWQ checkpoint (version "gemm"): u32 (K, N / 8), eight interleaved columns a word -> fresh words as
 * `GroupedCodes` has them, u32 (K / 8, N). Throws `RangeError` if K or N is no multiple of 8 or the length differs.
 */
export const awqCodes = (words: Uint32Array, inFeatures: number, outFeatures: number): Uint32Array => {
  if (inFeatures % 8 !== 0 || outFeatures % 8 !== 0 || words.length * 8 !== inFeatures * outFeatures) {
    throw new RangeError(`Cannot read ${words.length} words as codes (${inFeatures}, ${outFeatures})`)
  }
  const codes = new Uint32Array(words.length)
  const rowWords = outFeatures / 8
  for (let k = 0; k < inFeatures; k++) {
    const to = (k >> 3) * outFeatures
    const shift = (k & 7) * 4
    for (let w = 0; w < rowWords; w++) {
      const word = words[k * rowWords + w]!
      const column = to + w * 8
      for (let c = 0; c < 8; c++) codes[column + c]! |= ((word >>> AWQ_SHIFTS[c]!) & 15) << shift
    }
  }
  return codes
}
