/**
 * GGUF block formats of 256 values -1, 0 or 1 with one scale: TQ1_0, TQ2_0.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (layouts), ggml-quants.c (formulas)
 * @module
 */
import { type BlockCoder, word } from "./coder.ts"
import { HALF } from "./half.ts"

const common = {
  blockSize: 256,
  groupSize: 128,
  bits: 4,
  zero: 1,
  centre: 1,
  hasMin: false,
  note: "ternary codes in 4 bits: exact"
} as const

/** An f16 scale in the last two bytes of each block, for both halves. */
const lastHalf =
  (blockBytes: number): BlockCoder["readScales"] =>
  ({ halves }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const d = HALF[halves[((at + (b + 1) * blockBytes) >> 1) - 1]!]!
      scales[to + 2 * b] = d
      scales[to + 2 * b + 1] = d
    }
  }

const THIRDS = [1, 3, 9, 27, 81]
/** Runs of bytes that hold one value each for every power of three: first byte, bytes, values of a byte. */
const RUNS = [
  [0, 32, 5],
  [32, 16, 5],
  [48, 4, 4]
] as const

/**
 * A byte holds five values as a fraction in base 3: 256/243 times the number of five digits. Times 3^i, without what is
 * carried out, it begins with digit i.
 */
export const TQ1_0: BlockCoder = {
  ...common,
  blockBytes: 54,
  readScales: lastHalf(54),
  readCodes: ({ bytes }, at, count, codes, to, shift) => {
    let o = to
    for (let b = 0; b < count; b++) {
      for (const [first, length, digits] of RUNS) {
        for (let digit = 0; digit < digits; digit++) {
          const by = THIRDS[digit]!
          for (let i = 0; i < length; i += 4) {
            let four = 0
            for (let j = 0; j < 4; j++) {
              const fraction = (bytes[at + b * 54 + first + i + j]! * by) & 255
              four |= ((fraction * 3) >> 8) << (8 * j)
            }
            codes[o++] = four + shift
          }
        }
      }
    }
  }
}

/** Two runs of 32 bytes, four values of 2 bits in each byte, 32 values apart. */
export const TQ2_0: BlockCoder = {
  ...common,
  blockBytes: 66,
  readScales: lastHalf(66),
  readCodes: ({ halves }, at, count, codes, to, shift) => {
    for (let b = 0; b < count; b++) {
      for (let run = 0; run < 2; run++) {
        const p = (at + b * 66 + run * 32) >> 1
        const o = to + b * 64 + run * 32
        for (let i = 0; i < 8; i++) {
          const pairs = word(halves, p + 2 * i)
          for (let j = 0; j < 4; j++) codes[o + j * 8 + i] = ((pairs >>> (2 * j)) & 0x03030303) + shift
        }
      }
    }
  }
}
