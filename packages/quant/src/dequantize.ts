/**
 * GGUF blocks to floats.
 * @module
 */
import { type BlockType, blockBytes, coderOf } from "./blockTypes.ts"
import { type BlockCoder, sourceOf } from "./internal/coder.ts"
import { HALF } from "./internal/half.ts"

/** Values decoded at a time: their codes and scales stay in the first-level cache. */
const CHUNK = 4096

/**
 * Decodes `bytes`, whole blocks of `type` at any byte offset, to f32 into `out`: the exact value of the type's formula
 * rounded once to f32, equal to the bit to ggml's. Scales that are NaN or infinite give NaN and infinities.
 *
 * O(values), about 2.5 ns a value; allocates 4 KiB of codes. Throws `RangeError` if `out` is not a whole number of
 * blocks or `bytes` has not their length.
 * @returns `out`
 * @example Read one row
 * ```ts
 * import { blockBytes, dequantize } from "@swarm/quant"
 *
 * const row = dequantize("Q8_0", new Uint8Array(blockBytes("Q8_0", 64)), new Float32Array(64))
 * ```
 */
export const dequantize = (type: BlockType, bytes: Uint8Array, out: Float32Array): Float32Array => {
  const expected = blockBytes(type, out.length)
  if (bytes.length !== expected) {
    throw new RangeError(`${out.length} values of ${type} take ${expected} bytes: got ${bytes.length}`)
  }
  const coder = coderOf(type)
  if (coder !== undefined) decode(coder, bytes, out)
  else if (type === "F32") new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes)
  else if (type === "F16") for (let i = 0; i < out.length; i++) out[i] = HALF[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!
  else {
    const words = new Uint32Array(out.buffer, out.byteOffset, out.length)
    for (let i = 0; i < words.length; i++) words[i] = (bytes[2 * i]! << 16) | (bytes[2 * i + 1]! << 24)
  }
  return out
}

const decode = (coder: BlockCoder, bytes: Uint8Array, out: Float32Array): void => {
  const { blockSize, blockBytes, groupSize, zero, hasMin } = coder
  const chunkBlocks = CHUNK / blockSize
  const source = sourceOf(bytes)
  const words = new Uint32Array(CHUNK / 4)
  const codes = new Uint8Array(words.buffer)
  const scales = new Float32Array(CHUNK / groupSize)
  const mins = new Float32Array(CHUNK / groupSize)
  const blocks = out.length / blockSize
  for (let block = 0; block < blocks; block += chunkBlocks) {
    const count = Math.min(chunkBlocks, blocks - block)
    coder.readScales(source, block * blockBytes, count, scales, 0, mins)
    coder.readCodes(source, block * blockBytes, count, words, 0, 0)
    const groups = (count * blockSize) / groupSize
    for (let g = 0; g < groups; g++) {
      const scale = scales[g]!
      const from = g * groupSize
      const target = block * blockSize + from
      if (hasMin) {
        const min = mins[g]!
        for (let i = 0; i < groupSize; i++) out[target + i] = scale * codes[from + i]! + min
      } else {
        for (let i = 0; i < groupSize; i++) out[target + i] = scale * (codes[from + i]! - zero)
      }
    }
  }
}
