/**
 * What one block format is: where its scales, minima and codes stand. Dequantizing and repacking follow from it.
 * @module
 */

/** Blocks as bytes and, from the same even address, as little-endian 16-bit words. */
export interface Source {
  readonly bytes: Uint8Array
  readonly halves: Uint16Array
}

/** Views `bytes`, or a copy of them if they start at an odd address. */
export const sourceOf = (bytes: Uint8Array): Source => {
  const even = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice()
  return { bytes: even, halves: new Uint16Array(even.buffer, even.byteOffset, even.length >> 1) }
}

/** Bytes 2 i to 2 i + 3 as a word. Blocks of an even size are read so: four codes at a time. */
export const word = (halves: Uint16Array, i: number): number => halves[i]! | (halves[i + 1]! << 16)

/** The four low nibbles of four bytes, next to each other in 16 bits. */
export const squeeze = (nibbles: number): number => {
  const pairs = (nibbles | (nibbles >>> 4)) & 0x00ff00ff
  return (pairs | (pairs >>> 8)) & 0xffff
}

/**
 * A block format. A file block of `blockSize` values falls into groups of `groupSize` values that share a scale:
 * value = scale * (code - zero) + min, without min if not `hasMin`. Scales and minima are products that f32 holds exactly.
 *
 * The methods read `count` file blocks of `source` from byte `at`, which the caller has checked to be there.
 */
export interface BlockCoder {
  /** Values of a file block. */
  readonly blockSize: number
  /** Bytes of a file block. */
  readonly blockBytes: number
  readonly groupSize: 16 | 32 | 128
  /** The least of the kernel's widths that holds the codes and has a fast kernel for groups of this size. */
  readonly bits: 4 | 8
  readonly zero: number
  /** Code that becomes the kernel's zero point: `zero` of a symmetric format, the middle of the codes of others. */
  readonly centre: number
  readonly hasMin: boolean
  /** Why the kernel form differs from the file's blocks, if it does. */
  readonly note?: string
  /** Writes the scale of each group to `scales` from `to`, and its minimum to `mins` from 0 if the format has minima. */
  readonly readScales: (
    source: Source,
    at: number,
    count: number,
    scales: Float32Array,
    to: number,
    mins: Float32Array
  ) => void
  /**
   * Writes the codes in the order of their values, four bytes to a word, to `codes` from word `to`. `shift` is added to
   * each word; it carries out of no byte.
   */
  readonly readCodes: (source: Source, at: number, count: number, codes: Uint32Array, to: number, shift: number) => void
  /** Writes 4-bit codes as they are, eight to a word, to `packed` from word `to`. For formats with centre 8. */
  readonly readNibbles?: (source: Source, at: number, count: number, packed: Uint32Array, to: number) => void
}
