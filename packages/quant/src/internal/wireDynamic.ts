/**
 * Wire codec of dynamic 8-bit codes: all codes, then the scale of each block as little-endian f32.
 *
 * A scale is the value of greatest magnitude with its sign: it becomes the code of 1, comes back as it was, and encoding
 * again finds it. (A scale without sign would make a negative one -0.993 of itself each time.) Codes are the nearest
 * ones, so that zeros stay zeros.
 * @module
 */
import { checkDynamicBlock, dynamicMap, nearestDynamic } from "../dynamicMap.ts"
import type { Codec } from "../wire.ts"
import { checkData, checkOut } from "./wireChecks.ts"

const INFINITE = 0x7f800000
/** 2^-100 as a bit pattern. Blocks under it become zeros: their small values would be subnormals and lose their codes. */
const LEAST = 0x0d800000
const ZERO = 127

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)
const bytesOfFloat = new Uint8Array(float.buffer)

/** The codec for blocks of 64 to 4096 values. */
export const makeDynamic = (block: number): Codec => {
  checkDynamicBlock(block)
  const codec: Codec = {
    name: "dynamic8",
    bytes: (values) => values + 4 * Math.ceil(values / block),
    encode: (x, out) => {
      checkOut(codec, x, out)
      const words = new Uint32Array(x.buffer, x.byteOffset, x.length)
      let scaleAt = x.length
      for (let from = 0; from < x.length; from += block) {
        const end = Math.min(from + block, x.length)
        let greatest = 0
        let at = from
        for (let i = from; i < end; i++) {
          const magnitude = words[i]! & 0x7fffffff
          if (magnitude > greatest) {
            greatest = magnitude
            at = i
          }
        }
        if (greatest >= INFINITE) return false
        const scale = greatest < LEAST ? 0 : x[at]!
        const inverse = 1 / scale
        if (scale === 0) out.fill(ZERO, from, end)
        else for (let i = from; i < end; i++) out[i] = nearestDynamic(x[i]! * inverse)
        float[0] = scale
        for (let i = 0; i < 4; i++) out[scaleAt + i] = bytesOfFloat[i]!
        scaleAt += 4
      }
      return true
    },
    decode: (data, out) => {
      checkData(codec, data, out)
      let scaleAt = out.length
      for (let from = 0; from < out.length; from += block) {
        bits[0] = data[scaleAt]! | (data[scaleAt + 1]! << 8) | (data[scaleAt + 2]! << 16) | (data[scaleAt + 3]! << 24)
        const scale = float[0]!
        const end = Math.min(from + block, out.length)
        for (let i = from; i < end; i++) out[i] = dynamicMap[data[i]!]! * scale
        scaleAt += 4
      }
    }
  }
  return codec
}

/** Blocks of 64. */
export const dynamic8: Codec = makeDynamic(64)
