/**
 * Base58 with Bitcoin's alphabet, as peer ids are written.
 * @see https://datatracker.ietf.org/doc/html/draft-msporny-base58-03
 * @module
 */

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
const BASE = 58n

/** Bytes as text. O(n²): for keys, not for data. */
export const toBase58 = (bytes: Uint8Array): string => {
  let value = 0n
  for (const byte of bytes) value = value * 256n + BigInt(byte)
  let text = ""
  for (; value > 0n; value /= BASE) text = (ALPHABET[Number(value % BASE)] ?? "") + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = `1${text}`
  }
  return text
}

/** The `length` bytes that `text` stands for; undefined if it stands for none or another number. */
export const fromBase58 = (text: string, length: number): Uint8Array | undefined => {
  if (text.length > 2 * length) return undefined
  let value = 0n
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter)
    if (digit < 0) return undefined
    value = value * BASE + BigInt(digit)
  }
  const bytes = new Uint8Array(length)
  for (let i = length - 1; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 0xffn)
  return value === 0n && toBase58(bytes) === text ? bytes : undefined
}
