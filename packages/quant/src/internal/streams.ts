/**
 * Streams of codes of 2, 3, 4 or 8 bits in 32-bit words, low bits first.
 * @module
 */

/** words, from the first on -> one code a byte into `out`. A code of 3 bits may cross two words. */
export const unpackStream = (words: Uint32Array, bits: number, out: Uint8Array): void => {
  const mask = 2 ** bits - 1
  if (bits === 3) {
    for (let i = 0; i < out.length; i++) {
      const at = i * 3
      const low = at & 31
      let code = words[at >>> 5]! >>> low
      if (low > 29) code |= words[(at >>> 5) + 1]! << (32 - low)
      out[i] = code & mask
    }
    return
  }
  const perWord = 32 / bits
  for (let i = 0; i < out.length; i += perWord) {
    const word = words[i / perWord]!
    for (let j = 0; j < perWord; j++) out[i + j] = (word >>> (j * bits)) & mask
  }
}

/**
 * codes[order[i]] + shift as a stream of `bits` bits into `out` from word `at`; behind the last one `rest` fills the words
 * up to `end`.
 */
export const packStream = (
  codes: Uint8Array,
  order: Uint32Array,
  shift: number,
  rest: number,
  bits: number,
  out: Uint32Array,
  at: number,
  end: number
): void => {
  const count = order.length
  let i = 0
  for (let w = at; w < end; w++) {
    let word = 0
    for (let low = 0; low < 32; low += bits) {
      word |= (i < count ? codes[order[i]!]! + shift : rest) << low
      i++
    }
    out[w] = word
  }
}
