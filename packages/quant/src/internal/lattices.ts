/**
 * GGUF block formats of 256 values whose codes are points of a lattice: IQ1_S, IQ1_M, IQ2_XXS to IQ2_S, IQ3_XXS, IQ3_S.
 * A point's magnitudes are integers below 128, so that the 8-bit codes of the kernel hold them, signs included, exactly.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (layouts), ggml-quants.c (formulas)
 * @module
 */
import { type BlockCoder, type Source, word } from "./coder.ts"
import { iq1, iq2s, iq2xs, iq2xxs, iq3s, iq3xxs } from "./grids.ts"
import { HALF } from "./half.ts"

const ZERO = 128
const ZEROS = 0x80808080

/** Tables are made at first use. */
const lazy = (make: () => Uint8Array): (() => Uint32Array) => {
  let words: Uint32Array | undefined
  return () => {
    words ??= new Uint32Array(make().buffer)
    return words
  }
}

/** The 7 signs of an index, and the eighth that makes their number even. */
const EVEN_SIGNS = Uint8Array.from({ length: 128 }, (_, index) => {
  let parity = index
  for (const by of [4, 2, 1]) parity ^= parity >> by
  return index | ((parity & 1) << 7)
})

/** By four signs: all bits of the bytes that are negative. */
const NEGATIVE = Uint32Array.from({ length: 16 }, (_, signs) => {
  let mask = 0
  for (let i = 0; i < 4; i++) if ((signs >> i) & 1) mask |= 0xff << (8 * i)
  return mask
})

/** Four codes: 128 + m, or 128 - m where the sign is set. No byte carries, as magnitudes are below 128. */
const signed = (magnitudes: number, signs: number): number =>
  ZEROS + magnitudes - 2 * (magnitudes & NEGATIVE[signs & 15]!)

/** Writes 8 values: `index` of a grid of 8, with a byte of signs. */
const putEight = (grid: Uint32Array, index: number, signs: number, codes: Uint32Array, o: number, shift: number) => {
  codes[o] = signed(grid[2 * index]!, signs) + shift
  codes[o + 1] = signed(grid[2 * index + 1]!, signs >> 4) + shift
}

const half = ({ halves }: Source, at: number): number => HALF[halves[at >> 1]!]!

const common = { blockSize: 256, bits: 8, zero: ZERO, centre: ZERO, hasMin: false } as const
const NOTE = "lattice codes as their 8-bit values: exact"

/** Scales of 16 values, two 4-bit ones a byte from byte `first`: d (1/2 + s) factor. */
const nibbleScales =
  (blockBytes: number, first: number, factor: number): BlockCoder["readScales"] =>
  (source, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * blockBytes
      const d = half(source, p) * factor
      for (let g = 0; g < 16; g++) {
        scales[to + b * 16 + g] = d * (0.5 + ((source.bytes[p + first + (g >> 1)]! >> (4 * (g & 1))) & 15))
      }
    }
  }

/** Scales of 32 values in the high 4 bits of a word, one word every `step` bytes from byte `first`. */
const wordScales =
  (blockBytes: number, first: number, step: number, factor: number): BlockCoder["readScales"] =>
  (source, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * blockBytes
      const d = half(source, p) * factor
      for (let g = 0; g < 8; g++) scales[to + b * 8 + g] = d * (0.5 + (source.bytes[p + first + g * step + 3]! >> 4))
    }
  }

const IQ2_XXS_GRID = lazy(iq2xxs)

/** f16 factor; per 32 values 4 indices of 8 bits, 4 times 7 signs, a 4-bit scale. */
export const IQ2_XXS: BlockCoder = {
  ...common,
  blockBytes: 66,
  groupSize: 32,
  note: NOTE,
  readScales: wordScales(66, 6, 8, 0.25),
  readCodes: ({ bytes, halves }, at, count, codes, to, shift) => {
    const grid = IQ2_XXS_GRID()
    for (let b = 0; b < count; b++) {
      for (let g = 0; g < 8; g++) {
        const p = at + b * 66 + 2 + g * 8
        const signs = word(halves, (p + 4) >> 1)
        for (let i = 0; i < 4; i++) {
          putEight(
            grid,
            bytes[p + i]!,
            EVEN_SIGNS[(signs >>> (7 * i)) & 127]!,
            codes,
            to + b * 64 + g * 8 + 2 * i,
            shift
          )
        }
      }
    }
  }
}

const IQ2_XS_GRID = lazy(iq2xs)

/** f16 factor; per 8 values an index of 9 bits and 7 signs; 16 4-bit scales. */
export const IQ2_XS: BlockCoder = {
  ...common,
  blockBytes: 74,
  groupSize: 16,
  note: NOTE,
  readScales: nibbleScales(74, 66, 0.25),
  readCodes: ({ halves }, at, count, codes, to, shift) => {
    const grid = IQ2_XS_GRID()
    for (let b = 0; b < count; b++) {
      for (let i = 0; i < 32; i++) {
        const entry = halves[((at + b * 74 + 2) >> 1) + i]!
        putEight(grid, entry & 511, EVEN_SIGNS[entry >> 9]!, codes, to + b * 64 + 2 * i, shift)
      }
    }
  }
}

const IQ2_S_GRID = lazy(iq2s)

/** f16 factor; 32 low bytes of indices, 32 bytes of signs, 8 of the indices' high bit pairs, 16 4-bit scales. */
export const IQ2_S: BlockCoder = {
  ...common,
  blockBytes: 82,
  groupSize: 16,
  note: NOTE,
  readScales: nibbleScales(82, 74, 0.25),
  readCodes: ({ bytes }, at, count, codes, to, shift) => {
    const grid = IQ2_S_GRID()
    for (let b = 0; b < count; b++) {
      const p = at + b * 82
      for (let i = 0; i < 32; i++) {
        const high = (bytes[p + 66 + (i >> 2)]! >> (2 * (i & 3))) & 3
        putEight(grid, bytes[p + 2 + i]! | (high << 8), bytes[p + 34 + i]!, codes, to + b * 64 + 2 * i, shift)
      }
    }
  }
}

const IQ3_XXS_GRID = lazy(iq3xxs)

/** f16 factor; 64 indices of points of 4; per 32 values 4 times 7 signs and a 4-bit scale. */
export const IQ3_XXS: BlockCoder = {
  ...common,
  blockBytes: 98,
  groupSize: 32,
  note: NOTE,
  readScales: wordScales(98, 66, 4, 0.5),
  readCodes: ({ bytes, halves }, at, count, codes, to, shift) => {
    const grid = IQ3_XXS_GRID()
    for (let b = 0; b < count; b++) {
      const p = at + b * 98
      for (let i = 0; i < 32; i++) {
        const signs = EVEN_SIGNS[(word(halves, ((p + 66) >> 1) + 2 * (i >> 2)) >>> (7 * (i & 3))) & 127]!
        const o = to + b * 64 + 2 * i
        codes[o] = signed(grid[bytes[p + 2 + 2 * i]!]!, signs) + shift
        codes[o + 1] = signed(grid[bytes[p + 3 + 2 * i]!]!, signs >> 4) + shift
      }
    }
  }
}

const IQ3_S_GRID = lazy(iq3s)

/** f16 factor; 64 low bytes of indices of points of 4, their 64 ninth bits, 32 bytes of signs, 8 4-bit scales of 32. */
export const IQ3_S: BlockCoder = {
  ...common,
  blockBytes: 110,
  groupSize: 32,
  note: NOTE,
  readScales: (source, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * 110
      const d = half(source, p)
      for (let g = 0; g < 8; g++) {
        scales[to + b * 8 + g] = d * (1 + 2 * ((source.bytes[p + 106 + (g >> 1)]! >> (4 * (g & 1))) & 15))
      }
    }
  },
  readCodes: ({ bytes }, at, count, codes, to, shift) => {
    const grid = IQ3_S_GRID()
    for (let b = 0; b < count; b++) {
      const p = at + b * 110
      for (let i = 0; i < 32; i++) {
        const ninths = bytes[p + 66 + (i >> 2)]! >> (2 * (i & 3))
        const signs = bytes[p + 74 + i]!
        const o = to + b * 64 + 2 * i
        codes[o] = signed(grid[bytes[p + 2 + 2 * i]! | ((ninths & 1) << 8)]!, signs) + shift
        codes[o + 1] = signed(grid[bytes[p + 3 + 2 * i]! | ((ninths & 2) << 7)]!, signs >> 4) + shift
      }
    }
  }
}

/** Ternary points moved up by 1, times 8: a value t + delta with delta ±1/8 is the code 8 t ± 1, of a scale of 1/8. */
const IQ1_GRID = lazy(() => iq1().map((value) => 8 * value))
/** 128 - 8, plus or minus 1, in four bytes. */
const IQ1_PLUS = 0x79797979
const IQ1_MINUS = 0x77777777

const putTernary = (
  grid: Uint32Array,
  index: number,
  negative: boolean,
  codes: Uint32Array,
  o: number,
  shift: number
) => {
  const base = (negative ? IQ1_MINUS : IQ1_PLUS) + shift
  codes[o] = grid[2 * index]! + base
  codes[o + 1] = grid[2 * index + 1]! + base
}

const IQ1_NOTE = "ternary lattice codes as 8-bit values: exact"

/** f16 factor; 32 low bytes of indices; per 32 values 4 times 3 high bits, a 3-bit scale, the sign of delta. */
export const IQ1_S: BlockCoder = {
  ...common,
  blockBytes: 50,
  groupSize: 32,
  note: IQ1_NOTE,
  readScales: (source, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = at + b * 50
      const d = half(source, p) / 8
      for (let g = 0; g < 8; g++) {
        scales[to + b * 8 + g] = d * (2 * ((source.halves[((p + 34) >> 1) + g]! >> 12) & 7) + 1)
      }
    }
  },
  readCodes: ({ bytes, halves }, at, count, codes, to, shift) => {
    const grid = IQ1_GRID()
    for (let b = 0; b < count; b++) {
      const p = at + b * 50
      for (let i = 0; i < 32; i++) {
        const high = halves[((p + 34) >> 1) + (i >> 2)]!
        const index = bytes[p + 2 + i]! | (((high >> (3 * (i & 3))) & 7) << 8)
        putTernary(grid, index, high >= 0x8000, codes, to + b * 64 + 2 * i, shift)
      }
    }
  }
}

/** 32 low bytes of indices; per 8 values 3 high bits and the sign of delta; 16 3-bit scales between the bits of the factor. */
export const IQ1_M: BlockCoder = {
  ...common,
  blockBytes: 56,
  groupSize: 16,
  note: IQ1_NOTE,
  readScales: ({ halves }, at, count, scales, to) => {
    for (let b = 0; b < count; b++) {
      const p = (at + b * 56 + 48) >> 1
      let pattern = 0
      for (let i = 0; i < 4; i++) pattern |= (halves[p + i]! >> 12) << (4 * i)
      const d = HALF[pattern]! / 8
      for (let g = 0; g < 16; g++) {
        scales[to + b * 16 + g] = d * (2 * ((halves[p + (g >> 2)]! >> (3 * (g & 3))) & 7) + 1)
      }
    }
  },
  readCodes: ({ bytes }, at, count, codes, to, shift) => {
    const grid = IQ1_GRID()
    for (let b = 0; b < count; b++) {
      const p = at + b * 56
      for (let i = 0; i < 32; i++) {
        const high = bytes[p + 32 + (i >> 1)]! >> (4 * (i & 1))
        const index = bytes[p + i]! | ((high & 7) << 8)
        putTernary(grid, index, (high & 8) !== 0, codes, to + b * 64 + 2 * i, shift)
      }
    }
  }
}
