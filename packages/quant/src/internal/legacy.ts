/**
 * GGUF block formats of 32 values with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
 *
 * Nibbles of a block: value i in the low half of byte i, value i + 16 in its high half.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (layouts), ggml-quants.c (formulas)
 * @module
 */
import { type BlockCoder, word } from "./coder.ts"
import { HALF } from "./half.ts"
import { nibbleCodes, nibblePairs } from "./nibbles.ts"

const SIZE = 32

/** An f16 scale at the start of each block, and an f16 minimum after it if `hasMin`. */
const halfScales =
  (blockBytes: number, hasMin: boolean): BlockCoder["readScales"] =>
  ({ halves }, at, count, scales, to, mins) => {
    let p = at >> 1
    for (let b = 0; b < count; b++) {
      scales[to + b] = HALF[halves[p]!]!
      if (hasMin) mins[b] = HALF[halves[p + 1]!]!
      p += blockBytes >> 1
    }
  }

/** Bit i of `bits` (4) as bit 4 of byte i of a word. */
const fifthBits = (bits: number): number => (Math.imul(bits & 15, 0x00204081) & 0x01010101) << 4

/** Nibbles from byte `first`, and before them the fifth bits: bit i of a 32-bit word belongs to value i. */
const fiveBitCodes =
  (blockBytes: number, first: number): BlockCoder["readCodes"] =>
  ({ halves }, at, count, codes, to, shift) => {
    for (let b = 0; b < count; b++) {
      const p = (at + b * blockBytes + first) >> 1
      const o = to + b * (SIZE / 4)
      const low = halves[p - 2]!
      const high = halves[p - 1]!
      for (let i = 0; i < 4; i++) {
        const eight = word(halves, p + 2 * i)
        codes[o + i] = ((eight & 0x0f0f0f0f) | fifthBits(low >> (4 * i))) + shift
        codes[o + 4 + i] = (((eight >>> 4) & 0x0f0f0f0f) | fifthBits(high >> (4 * i))) + shift
      }
    }
  }

/** Signed bytes from byte 2, moved up by 128. */
const byteCodes: BlockCoder["readCodes"] = ({ halves }, at, count, codes, to, shift) => {
  for (let b = 0; b < count; b++) {
    const p = (at + b * 34 + 2) >> 1
    const o = to + b * (SIZE / 4)
    for (let i = 0; i < SIZE / 4; i++) codes[o + i] = (word(halves, p + 2 * i) ^ 0x80808080) + shift
  }
}

const Q4_0_RUNS = { blockBytes: 18, first: 2, runs: 1, runBytes: 16 }
const Q4_1_RUNS = { blockBytes: 20, first: 4, runs: 1, runBytes: 16 }

const FIVE_BITS = "5-bit codes in 8 bits: exact"

/** f16 scale; value = scale * (code - 8). */
export const Q4_0: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 18,
  groupSize: 32,
  bits: 4,
  zero: 8,
  centre: 8,
  hasMin: false,
  readScales: halfScales(18, false),
  readCodes: nibbleCodes(Q4_0_RUNS),
  readNibbles: nibblePairs(Q4_0_RUNS)
}

/** f16 scale, f16 minimum; value = scale * code + min. */
export const Q4_1: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 20,
  groupSize: 32,
  bits: 4,
  zero: 0,
  centre: 8,
  hasMin: true,
  readScales: halfScales(20, true),
  readCodes: nibbleCodes(Q4_1_RUNS),
  readNibbles: nibblePairs(Q4_1_RUNS)
}

/** f16 scale, 32 high bits; value = scale * (code - 16). */
export const Q5_0: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 22,
  groupSize: 32,
  bits: 8,
  zero: 16,
  centre: 16,
  hasMin: false,
  note: FIVE_BITS,
  readScales: halfScales(22, false),
  readCodes: fiveBitCodes(22, 6)
}

/** f16 scale, f16 minimum, 32 high bits; value = scale * code + min. */
export const Q5_1: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 24,
  groupSize: 32,
  bits: 8,
  zero: 0,
  centre: 16,
  hasMin: true,
  note: FIVE_BITS,
  readScales: halfScales(24, true),
  readCodes: fiveBitCodes(24, 8)
}

/** f16 scale; value = scale * (signed byte). */
export const Q8_0: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 34,
  groupSize: 32,
  bits: 8,
  zero: 128,
  centre: 128,
  hasMin: false,
  readScales: halfScales(34, false),
  readCodes: byteCodes
}
