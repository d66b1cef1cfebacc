/**
 * GGUF block formats whose 4-bit codes stand for entries of a table: IQ4_NL, IQ4_XS, MXFP4, NVFP4. The entries are small
 * integers, so that the 8-bit codes of the kernel hold them exactly.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (layouts and `kvalues_*`)
 * @see https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf (MXFP4)
 * @module
 */
import type { BlockCoder } from "./coder.ts"
import { HALF } from "./half.ts"

const SHIFT = 128

/** By byte: the code of the low nibble in bits 0-7, of the high nibble in bits 16-23. */
const pairTable = (values: ReadonlyArray<number>): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    const code = (nibble: number) => values[nibble]! + SHIFT
    return code(byte & 15) | (code(byte >> 4) << 16)
  })

const IQ4 = pairTable([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])

/** The values of e2m1, doubled: the scales are halved in return. */
const E2M1 = pairTable([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12])

const common = { groupSize: 32, bits: 8, zero: SHIFT, centre: SHIFT, hasMin: false } as const

/** Looks up `runs` times 16 bytes of nibbles (32 values: low halves, then high halves) from byte `first`. */
const tableCodes =
  (table: Uint32Array, blockBytes: number, first: number, runs: number): BlockCoder["readCodes"] =>
  ({ bytes }, at, count, codes, to, shift) => {
    let o = to
    for (let b = 0; b < count; b++) {
      let p = at + b * blockBytes + first
      for (let run = 0; run < runs; run++) {
        for (let i = 0; i < 4; i++) {
          const early = table[bytes[p]!]! | (table[bytes[p + 1]!]! << 8)
          const late = table[bytes[p + 2]!]! | (table[bytes[p + 3]!]! << 8)
          codes[o + i] = ((early & 0xffff) | (late << 16)) + shift
          codes[o + 4 + i] = ((early >>> 16) | (late & 0xffff0000)) + shift
          p += 4
        }
        o += 8
      }
    }
  }

/** f16 scale and 32 nibbles. */
export const IQ4_NL: BlockCoder = {
  ...common,
  blockSize: 32,
  blockBytes: 18,
  note: "4-bit table codes as their 8-bit values: exact",
  readScales: ({ halves }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) scales[to + b] = HALF[halves[(at + b * 18) >> 1]!]!
  },
  readCodes: tableCodes(IQ4, 18, 2, 1)
}

/** f16 factor, 2 high bits then 4 low bits of 8 scales, 8 times 32 nibbles. */
export const IQ4_XS: BlockCoder = {
  ...common,
  blockSize: 256,
  blockBytes: 136,
  note: "4-bit table codes as their 8-bit values: exact",
  readScales: ({ bytes, halves }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * 136
      const d = HALF[halves[p >> 1]!]!
      const high = halves[(p >> 1) + 1]!
      for (let g = 0; g < 8; g++) {
        const low = (bytes[p + 4 + (g >> 1)]! >> (4 * (g & 1))) & 15
        scales[to + b * 8 + g] = d * ((low | (((high >> (2 * g)) & 3) << 4)) - 32)
      }
    }
  },
  readCodes: tableCodes(IQ4, 136, 8, 8)
}

/** Half the power of two that an 8-bit exponent stands for. */
const HALF_POWERS = Float32Array.from({ length: 256 }, (_, exponent) => 2 ** (exponent - 128))

/** Power of two as an 8-bit exponent, and 32 nibbles. */
export const MXFP4: BlockCoder = {
  ...common,
  blockSize: 32,
  blockBytes: 17,
  note: "4-bit floats as 8-bit integers: exact",
  readScales: ({ bytes }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) scales[to + b] = HALF_POWERS[bytes[at + b * 17]!]!
  },
  readCodes: tableCodes(E2M1, 17, 1, 1)
}

/**
 * Half the value of an e4m3 without sign, by pattern: its greatest stands for 0, and its bit 7 is not looked at otherwise.
 */
const HALF_E4M3 = Float32Array.from({ length: 256 }, (_, pattern) => {
  const exponent = (pattern >> 3) & 15
  const fraction = (pattern & 7) / 8
  if (pattern === 0x7f) return 0
  return (exponent === 0 ? fraction * 2 ** -6 : (1 + fraction) * 2 ** (exponent - 7)) / 2
})

/** 4 scales as 8-bit floats, 4 times 16 nibbles: low halves, then high halves, of 8 bytes. */
export const NVFP4: BlockCoder = {
  ...common,
  blockSize: 64,
  blockBytes: 36,
  groupSize: 16,
  note: "4-bit floats as 8-bit integers: exact",
  readScales: ({ bytes }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      for (let g = 0; g < 4; g++) scales[to + b * 4 + g] = HALF_E4M3[bytes[at + b * 36 + g]!]!
    }
  },
  readCodes: ({ bytes }, at, count, codes, to, shift) => {
    let o = to
    for (let b = 0; b < count; b++) {
      for (let g = 0; g < 4; g++) {
        const p = at + b * 36 + 4 + g * 8
        for (let i = 0; i < 2; i++) {
          const early = E2M1[bytes[p + 4 * i]!]! | (E2M1[bytes[p + 4 * i + 1]!]! << 8)
          const late = E2M1[bytes[p + 4 * i + 2]!]! | (E2M1[bytes[p + 4 * i + 3]!]! << 8)
          codes[o + i] = ((early & 0xffff) | (late << 16)) + shift
          codes[o + 2 + i] = ((early >>> 16) | (late & 0xffff0000)) + shift
        }
        o += 4
      }
    }
  }
}
