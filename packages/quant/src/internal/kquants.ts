/**
 * GGUF block formats of 256 values whose groups have quantized scales: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (layouts), ggml-quants.c (formulas)
 * @module
 */
import { type BlockCoder, word } from "./coder.ts"
import { HALF } from "./half.ts"
import { nibbleCodes, nibblePairs } from "./nibbles.ts"

const SIZE = 256
/** Words of four codes in a block. */
const WORDS = SIZE / 4

/** 16 groups of 4-bit scale (low) and 4-bit minimum (high), 64 bytes of 2-bit codes, f16 factors of both. */
export const Q2_K: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 84,
  groupSize: 16,
  bits: 4,
  zero: 0,
  centre: 2,
  hasMin: true,
  note: "2-bit codes in 4 bits: exact",
  readScales: ({ bytes, halves }, at, count, scales, to, mins) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * 84
      const d = HALF[halves[(p + 80) >> 1]!]!
      const dmin = HALF[halves[(p + 82) >> 1]!]!
      for (let g = 0; g < 16; g++) {
        const byte = bytes[p + g]!
        scales[to + b * 16 + g] = d * (byte & 15)
        mins[b * 16 + g] = -dmin * (byte >> 4)
      }
    }
  },
  readCodes: ({ halves }, at, count, codes, to, shift) => {
    for (let b = 0; b < count; b++) {
      for (let part = 0; part < 2; part++) {
        const p = (at + b * 84 + 16 + part * 32) >> 1
        const o = to + b * WORDS + part * 32
        for (let i = 0; i < 8; i++) {
          const pairs = word(halves, p + 2 * i)
          codes[o + i] = (pairs & 0x03030303) + shift
          codes[o + 8 + i] = ((pairs >>> 2) & 0x03030303) + shift
          codes[o + 16 + i] = ((pairs >>> 4) & 0x03030303) + shift
          codes[o + 24 + i] = ((pairs >>> 6) & 0x03030303) + shift
        }
      }
    }
  }
}

/** 32 bytes of third bits, 64 bytes of 2-bit codes, 16 6-bit scales in 12 bytes, f16 factor. */
export const Q3_K: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 110,
  groupSize: 16,
  bits: 4,
  zero: 4,
  centre: 4,
  hasMin: false,
  note: "3-bit codes in 4 bits: exact",
  readScales: ({ bytes, halves }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * 110 + 96
      const d = HALF[halves[(p + 12) >> 1]!]!
      for (let g = 0; g < 16; g++) {
        const low = g < 8 ? bytes[p + g]! & 15 : bytes[p + g - 8]! >> 4
        const high = (bytes[p + 8 + (g & 3)]! >> (2 * (g >> 2))) & 3
        scales[to + b * 16 + g] = d * ((low | (high << 4)) - 32)
      }
    }
  },
  readCodes: ({ halves }, at, count, codes, to, shift) => {
    for (let b = 0; b < count; b++) {
      const thirds = (at + b * 110) >> 1
      for (let part = 0; part < 2; part++) {
        const p = thirds + 16 + part * 16
        const o = to + b * WORDS + part * 32
        for (let i = 0; i < 8; i++) {
          const pairs = word(halves, p + 2 * i)
          const high = word(halves, thirds + 2 * i) >>> (4 * part)
          codes[o + i] = ((pairs & 0x03030303) | ((high << 2) & 0x04040404)) + shift
          codes[o + 8 + i] = (((pairs >>> 2) & 0x03030303) | ((high << 1) & 0x04040404)) + shift
          codes[o + 16 + i] = (((pairs >>> 4) & 0x03030303) | (high & 0x04040404)) + shift
          codes[o + 24 + i] = (((pairs >>> 6) & 0x03030303) | ((high >>> 1) & 0x04040404)) + shift
        }
      }
    }
  }
}

/** Q4_K and Q5_K: f16 factors of scales and minima, then 8 of each, 6 bits wide, in 12 bytes. */
const packedScales =
  (blockBytes: number): BlockCoder["readScales"] =>
  ({ bytes, halves }, at, count, scales, to, mins) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * blockBytes
      const d = HALF[halves[p >> 1]!]!
      const dmin = HALF[halves[(p >> 1) + 1]!]!
      for (let g = 0; g < 4; g++) {
        const first = bytes[p + 4 + g]!
        const second = bytes[p + 8 + g]!
        const third = bytes[p + 12 + g]!
        const o = b * 8 + g
        scales[to + o] = d * (first & 63)
        mins[o] = -dmin * (second & 63)
        scales[to + o + 4] = d * ((third & 15) | ((first >> 6) << 4))
        mins[o + 4] = -dmin * ((third >> 4) | ((second >> 6) << 4))
      }
    }
  }

const Q4_K_RUNS = { blockBytes: 144, first: 16, runs: 4, runBytes: 32 }

/** Factors and scales in 16 bytes, then 4 runs of 32 bytes of nibbles. */
export const Q4_K: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 144,
  groupSize: 32,
  bits: 4,
  zero: 0,
  centre: 8,
  hasMin: true,
  readScales: packedScales(144),
  readCodes: nibbleCodes(Q4_K_RUNS),
  readNibbles: nibblePairs(Q4_K_RUNS)
}

/** As Q4_K with 32 bytes of fifth bits (bit g of byte i: value i of group g) before the nibbles. */
export const Q5_K: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 176,
  groupSize: 32,
  bits: 8,
  zero: 0,
  centre: 16,
  hasMin: true,
  note: "5-bit codes in 8 bits: exact",
  readScales: packedScales(176),
  readCodes: ({ halves }, at, count, codes, to, shift) => {
    for (let b = 0; b < count; b++) {
      const fifths = (at + b * 176 + 16) >> 1
      for (let run = 0; run < 4; run++) {
        const p = fifths + 16 + run * 16
        const o = to + b * WORDS + run * 16
        for (let i = 0; i < 8; i++) {
          const eight = word(halves, p + 2 * i)
          const high = word(halves, fifths + 2 * i) >>> (2 * run)
          codes[o + i] = ((eight & 0x0f0f0f0f) | ((high << 4) & 0x10101010)) + shift
          codes[o + 8 + i] = (((eight >>> 4) & 0x0f0f0f0f) | ((high << 3) & 0x10101010)) + shift
        }
      }
    }
  }
}

/** 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed 8-bit scales, f16 factor. */
export const Q6_K: BlockCoder = {
  blockSize: SIZE,
  blockBytes: 210,
  groupSize: 16,
  bits: 8,
  zero: 32,
  centre: 32,
  hasMin: false,
  note: "6-bit codes in 8 bits: exact",
  readScales: ({ bytes, halves }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * 210 + 192
      const d = HALF[halves[(p + 16) >> 1]!]!
      for (let g = 0; g < 16; g++) scales[to + b * 16 + g] = d * ((bytes[p + g]! << 24) >> 24)
    }
  },
  readCodes: ({ halves }, at, count, codes, to, shift) => {
    for (let b = 0; b < count; b++) {
      const block = (at + b * 210) >> 1
      for (let part = 0; part < 2; part++) {
        const low = block + part * 32
        const high = block + 64 + part * 16
        const o = to + b * WORDS + part * 32
        for (let i = 0; i < 8; i++) {
          const first = word(halves, low + 2 * i)
          const second = word(halves, low + 16 + 2 * i)
          const pairs = word(halves, high + 2 * i)
          codes[o + i] = ((first & 0x0f0f0f0f) | ((pairs << 4) & 0x30303030)) + shift
          codes[o + 8 + i] = ((second & 0x0f0f0f0f) | ((pairs << 2) & 0x30303030)) + shift
          codes[o + 16 + i] = (((first >>> 4) & 0x0f0f0f0f) | (pairs & 0x30303030)) + shift
          codes[o + 24 + i] = (((second >>> 4) & 0x0f0f0f0f) | ((pairs >>> 2) & 0x30303030)) + shift
        }
      }
    }
  }
}
