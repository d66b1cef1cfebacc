/**
 * MXFP4 as checkpoints of Hugging Face hold it: 4-bit floats, a power of two for each 32 of them.
 * @see https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
 * @module
 */

/**
 * codes: u8 (blocks, 16), value 2i in the low half of byte i and 2i + 1 in its high half; exponents: u8 (blocks) ->
 * fresh GGUF blocks of type MXFP4, which hold the same values in another order, for `repack` and `dequantize`.
 *
 * Throws `RangeError` if there are not 16 bytes of codes for each exponent.
 */
export const mxfp4Blocks = (codes: Uint8Array, exponents: Uint8Array): Uint8Array => {
  if (codes.length !== exponents.length * 16) {
    throw new RangeError(`Cannot read ${codes.length} bytes of codes with ${exponents.length} exponents`)
  }
  const out = new Uint8Array(exponents.length * 17)
  for (let b = 0; b < exponents.length; b++) {
    out[b * 17] = exponents[b]!
    for (let i = 0; i < 8; i++) {
      // values 2i, 2i + 1 in the low halves of the block's first 8 pairs; those 16 further on in the high halves
      const early = codes[b * 16 + i]!
      const late = codes[b * 16 + 8 + i]!
      out[b * 17 + 1 + 2 * i] = (early & 15) | ((late & 15) << 4)
      out[b * 17 + 2 + 2 * i] = (early >> 4) | (late & 0xf0)
    }
  }
  return out
}
