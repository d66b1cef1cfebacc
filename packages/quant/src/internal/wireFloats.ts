/**
 * Wire codecs that keep floats: f32, f16, bf16. They work on bit patterns.
 * @module
 */
import type { Codec } from "../wire.ts"
import { HALF } from "./half.ts"
import { checkData, checkOut } from "./wireChecks.ts"

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length)
const bytesOf = (x: Float32Array): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength)

/** The values as they are in memory. */
export const f32: Codec = {
  name: "f32",
  bytes: (values) => 4 * values,
  encode: (x, out) => {
    checkOut(f32, x, out)
    out.set(bytesOf(x))
    return true
  },
  decode: (data, out) => {
    checkData(f32, data, out)
    bytesOf(out).set(data)
  }
}

/** f32 magnitudes as bit patterns: the least that rounds to an infinite f16, and the least normal f16 (2^-14). */
const HALF_OVERFLOW = 0x477ff000
const HALF_NORMAL = 0x38800000

/** Rounds a magnitude under 2^-14 to a multiple of 2^-24. */
const subnormalHalf = (magnitude: number): number => {
  const exponent = magnitude >>> 23
  if (exponent < 101) return 0
  const shift = 126 - exponent
  const significand = (magnitude & 0x7fffff) | 0x800000
  return (significand + (1 << (shift - 1)) - 1 + ((significand >>> shift) & 1)) >>> shift
}

/** IEEE 754 binary16, little-endian. */
export const f16: Codec = {
  name: "f16",
  bytes: (values) => 2 * values,
  encode: (x, out) => {
    checkOut(f16, x, out)
    const words = bitsOf(x)
    for (let i = 0; i < words.length; i++) {
      const bits = words[i]! | 0
      const magnitude = bits & 0x7fffffff
      if (magnitude >= HALF_OVERFLOW) return false
      const rounded =
        magnitude < HALF_NORMAL
          ? subnormalHalf(magnitude)
          : (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
      const half = rounded | ((bits >>> 16) & 0x8000)
      out[2 * i] = half
      out[2 * i + 1] = half >>> 8
    }
    return true
  },
  decode: (data, out) => {
    checkData(f16, data, out)
    const words = bitsOf(out)
    for (let i = 0; i < words.length; i++) {
      const half = data[2 * i]! | (data[2 * i + 1]! << 8)
      const magnitude = half & 0x7fff
      // the table of all halves is 256 kB: after a run of blocks it is in no cache
      if (magnitude >= 0x0400 && magnitude < 0x7c00)
        words[i] = ((half & 0x8000) << 16) | ((magnitude << 13) + 0x38000000)
      else out[i] = HALF[half]!
    }
  }
}

/** The least f32 magnitude that rounds to an infinite bf16. */
const BRAIN_OVERFLOW = 0x7f7f8000

/** The upper half of an f32, little-endian. */
export const bf16: Codec = {
  name: "bf16",
  bytes: (values) => 2 * values,
  encode: (x, out) => {
    checkOut(bf16, x, out)
    const words = bitsOf(x)
    for (let i = 0; i < words.length; i++) {
      const bits = words[i]! | 0
      if ((bits & 0x7fffffff) >= BRAIN_OVERFLOW) return false
      const rounded = (bits + 0x7fff + ((bits >>> 16) & 1)) | 0
      out[2 * i] = rounded >>> 16
      out[2 * i + 1] = rounded >>> 24
    }
    return true
  },
  decode: (data, out) => {
    checkData(bf16, data, out)
    const words = bitsOf(out)
    for (let i = 0; i < words.length; i++) words[i] = (data[2 * i]! << 16) | (data[2 * i + 1]! << 24)
  }
}
