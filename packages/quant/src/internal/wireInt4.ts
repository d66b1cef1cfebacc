/**
 * Wire codec of signed nibbles: codes -7 to 7 plus 8, two to a byte, the first in the low one; then the scale of each
 * block of 32 values as little-endian bf16. An odd last value has a byte of its own.
 * @module
 */
import type { Codec } from "../wire.ts"
import { fromBrain, ROUND, scaleOf } from "./wireBrain.ts"
import { checkData, checkOut } from "./wireChecks.ts"

const BLOCK = 32
/** Rounds, and adds 8 to the code. */
const ROUND_UP = ROUND + 8

const codeBytes = (values: number): number => Math.ceil(values / 2)

/** 32 signed nibbles to a scale. */
export const int4: Codec = {
  name: "int4",
  bytes: (values) => codeBytes(values) + 2 * Math.ceil(values / BLOCK),
  encode: (x, out) => {
    checkOut(int4, x, out)
    const words = new Uint32Array(x.buffer, x.byteOffset, x.length)
    let scaleAt = codeBytes(x.length)
    for (let from = 0; from < x.length; from += BLOCK) {
      const end = Math.min(from + BLOCK, x.length)
      const half = scaleOf(words, from, end, 7)
      if (half < 0) return false
      const scale = fromBrain(half)
      const inverse = scale === 0 ? 0 : 1 / scale
      const pairs = end - ((end - from) & 1)
      for (let i = from; i < pairs; i += 2) {
        const low = (x[i]! * inverse + ROUND_UP - ROUND) | 0
        const high = (x[i + 1]! * inverse + ROUND_UP - ROUND) | 0
        out[i >> 1] = low | (high << 4)
      }
      if (pairs < end) out[pairs >> 1] = (x[pairs]! * inverse + ROUND_UP - ROUND) | 0x80
      out[scaleAt] = half
      out[scaleAt + 1] = half >>> 8
      scaleAt += 2
    }
    return true
  },
  decode: (data, out) => {
    checkData(int4, data, out)
    let scaleAt = codeBytes(out.length)
    for (let from = 0; from < out.length; from += BLOCK) {
      const end = Math.min(from + BLOCK, out.length)
      const scale = fromBrain(data[scaleAt]! | (data[scaleAt + 1]! << 8))
      const pairs = end - ((end - from) & 1)
      for (let i = from; i < pairs; i += 2) {
        const byte = data[i >> 1]!
        out[i] = ((byte & 15) - 8) * scale
        out[i + 1] = ((byte >> 4) - 8) * scale
      }
      if (pairs < end) out[pairs] = ((data[pairs >> 1]! & 15) - 8) * scale
      scaleAt += 2
    }
  }
}
