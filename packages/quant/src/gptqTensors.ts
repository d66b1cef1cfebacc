/**
 * Integer codes as the tensors of a GPTQ checkpoint.
 * @see {@link https://github.com/AutoGPTQ/AutoGPTQ} the layout, version 1
 * @module
 */
import { encodeFloats } from "@swarm/tensor"
import type { GroupedWeights } from "./gptq.ts"

/** The tensors of a layer: `qweight`, `qzeros`, `scales` and `g_idx` of a checkpoint, little-endian and row-major. */
export interface GptqTensors {
  /** i32 (K * bits / 32, N): each column is a stream of K codes, low bits first; codes of 3 bits may cross two words. */
  readonly qweight: Int32Array
  /** i32 (G, N * bits / 32): each row is a stream of N zero points less 1, which wraps around. */
  readonly qzeros: Int32Array
  /** f16 (G, N) */
  readonly scales: Uint16Array
  /** i32 (K) */
  readonly groupIndex: Int32Array
}

/**
 * Packs a layer, output feature n of the tensors taken from column `columns[n]` of the layer (default: as they are).
 *
 * Throws `RangeError` where K or N codes do not fill words of 32 bits, which the format cannot say. O(K N).
 */
export const gptqTensors = (layer: GroupedWeights, columns?: ArrayLike<number>): GptqTensors => {
  const { bits, inFeatures: K, outFeatures: N, codes, scales, zeros, groupIndex } = layer
  if ((K * bits) % 32 !== 0 || (N * bits) % 32 !== 0) {
    throw new RangeError(`Cannot pack a layer (${K}, ${N}): ${bits}-bit codes do not fill words of 32 bits`)
  }
  const groups = scales.length / N
  const qweight = new Int32Array(((K * bits) / 32) * N)
  for (let k = 0; k < K; k++) {
    const word = (k * bits) >>> 5
    const shift = (k * bits) & 31
    for (let n = 0; n < N; n++) {
      const code = codes[k * N + (columns?.[n] ?? n)]!
      qweight[word * N + n]! |= code << shift
      if (shift + bits > 32) qweight[(word + 1) * N + n]! |= code >>> (32 - shift)
    }
  }
  const qzeros = new Int32Array((groups * N * bits) / 32)
  const ordered = new Float32Array(groups * N)
  const mask = 2 ** bits - 1
  for (let i = 0; i < groups * N; i++) {
    const [g, n] = [Math.floor(i / N), i % N]
    const from = g * N + (columns?.[n] ?? n)
    ordered[i] = scales[from]!
    const zero = (zeros[from]! - 1) & mask
    // a row of zero points fills whole words, so rows follow each other without a gap
    const shift = (i * bits) & 31
    qzeros[(i * bits) >>> 5]! |= zero << shift
    if (shift + bits > 32) qzeros[((i * bits) >>> 5) + 1]! |= zero >>> (32 - shift)
  }
  return { qweight, qzeros, scales: encodeFloats("f16", ordered), groupIndex }
}
