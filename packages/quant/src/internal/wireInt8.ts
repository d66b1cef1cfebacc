/**
 * Wire codec of signed bytes: all codes, then the scale of each block of 64 values as little-endian bf16.
 * @module
 */
import type { Codec } from "../wire.ts"
import { fromBrain, ROUND, scaleOf } from "./wireBrain.ts"
import { checkData, checkOut } from "./wireChecks.ts"

const BLOCK = 64

/** 64 signed bytes to a scale. */
export const int8: Codec = {
  name: "int8",
  bytes: (values) => values + 2 * Math.ceil(values / BLOCK),
  encode: (x, out) => {
    checkOut(int8, x, out)
    const words = new Uint32Array(x.buffer, x.byteOffset, x.length)
    let scaleAt = x.length
    for (let from = 0; from < x.length; from += BLOCK) {
      const end = Math.min(from + BLOCK, x.length)
      const half = scaleOf(words, from, end, 127)
      if (half < 0) return false
      const scale = fromBrain(half)
      const inverse = scale === 0 ? 0 : 1 / scale
      for (let i = from; i < end; i++) out[i] = (x[i]! * inverse + ROUND - ROUND) | 0
      out[scaleAt] = half
      out[scaleAt + 1] = half >>> 8
      scaleAt += 2
    }
    return true
  },
  decode: (data, out) => {
    checkData(int8, data, out)
    let scaleAt = out.length
    for (let from = 0; from < out.length; from += BLOCK) {
      const end = Math.min(from + BLOCK, out.length)
      const scale = fromBrain(data[scaleAt]! | (data[scaleAt + 1]! << 8))
      for (let i = from; i < end; i++) out[i] = ((data[i]! << 24) >> 24) * scale
      scaleAt += 2
    }
  }
}
