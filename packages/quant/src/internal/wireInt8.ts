/**
 * Wire codec of signed bytes: blocks of 64 values share a scale, the greatest magnitude of the block over 127.
 *
 * All codes, then the scales as little-endian bf16. Rounding a scale to 8 significant bits moves the quotient of the
 * greatest value by at most 127 / 256, under half a step: its code stays 127, so that decoding and encoding again finds
 * the same scale. An f16 scale would be a subnormal for blocks under 0.008, and end at blocks of 8 million.
 * @module
 */
import type { Codec } from "../wire.ts"
import { checkData, checkOut } from "./wireChecks.ts"

const BLOCK = 64
const INFINITE = 0x7f800000
const LEAST_NORMAL = 2 ** -126
const GREATEST = (2 - 2 ** -23) * 2 ** 127
/** Adding and subtracting it rounds a double under 2^51 to an integer, ties to even. */
const ROUND = 1.5 * 2 ** 52

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** A positive f32 to the nearest bf16, as the upper half of its bit pattern. */
const brain = (value: number): number => {
  float[0] = value
  return (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) >>> 16
}

const fromBrain = (half: number): number => {
  bits[0] = half << 16
  return float[0]!
}

/** The greatest magnitude as a bit pattern: it orders NaN over infinity over numbers. */
const greatestBits = (words: Uint32Array, from: number, end: number): number => {
  let greatest = 0
  for (let i = from; i < end; i++) {
    const magnitude = words[i]! & 0x7fffffff
    if (magnitude > greatest) greatest = magnitude
  }
  return greatest
}

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
      const greatest = greatestBits(words, from, end)
      if (greatest >= INFINITE) return false
      bits[0] = greatest
      const exact = float[0]! / 127
      const half = exact < LEAST_NORMAL ? 0 : brain(exact)
      const scale = fromBrain(half)
      if (scale * 127 > GREATEST) return false
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
