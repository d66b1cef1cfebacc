/**
 * Blocks whose codes are nibbles: a run of bytes holds as many values in its low halves, then as many in its high ones.
 * @module
 */
import { type BlockCoder, squeeze, word } from "./coder.ts"

/** Where the nibbles of a block stand. */
export interface NibbleRuns {
  readonly blockBytes: number
  /** First byte of the first run. Even. */
  readonly first: number
  readonly runs: number
  /** Bytes of a run: a multiple of 8. */
  readonly runBytes: number
}

const LOW = 0x0f0f0f0f

/** One code a byte. */
export const nibbleCodes =
  ({ blockBytes, first, runs, runBytes }: NibbleRuns): BlockCoder["readCodes"] =>
  ({ halves }, at, count, codes, to, shift) => {
    const words = runBytes / 4
    let o = to
    for (let b = 0; b < count; b++) {
      let p = (at + b * blockBytes + first) >> 1
      for (let run = 0; run < runs; run++) {
        for (let i = 0; i < words; i++) {
          const eight = word(halves, p)
          codes[o + i] = (eight & LOW) + shift
          codes[o + words + i] = ((eight >>> 4) & LOW) + shift
          p += 2
        }
        o += 2 * words
      }
    }
  }

/** Two codes a byte, the earlier in the low half. */
export const nibblePairs =
  ({ blockBytes, first, runs, runBytes }: NibbleRuns): NonNullable<BlockCoder["readNibbles"]> =>
  ({ halves }, at, count, packed, to) => {
    const words = runBytes / 8
    let o = to
    for (let b = 0; b < count; b++) {
      let p = (at + b * blockBytes + first) >> 1
      for (let run = 0; run < runs; run++) {
        for (let i = 0; i < words; i++) {
          const early = word(halves, p)
          const late = word(halves, p + 2)
          packed[o + i] = squeeze(early & LOW) | (squeeze(late & LOW) << 16)
          packed[o + words + i] = squeeze((early >>> 4) & LOW) | (squeeze((late >>> 4) & LOW) << 16)
          p += 4
        }
        o += 2 * words
      }
    }
  }
