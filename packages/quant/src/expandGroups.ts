/**
 * Grouped codes to floats.
 * @module
 */
import { type GroupedCodes, groupOf } from "./GroupedCodes.ts"

/**
 * Columns [from, to) of W as rows of floats: f32 (to - from, K) into `out`, inputs as they are in the file; each value is
 * scale * (code - zero), rounded once to f32 (exact for scales of 16 bits).
 *
 * Throws `RangeError` if `out` has not that length. O(K (to - from)), about 4 ns a weight.
 * @returns `out`
 */
export const expandGroups = (linear: GroupedCodes, from: number, to: number, out: Float32Array): Float32Array => {
  const { bits, codes, scales, zeros, inFeatures, outFeatures } = linear
  if (!(from >= 0 && from <= to && to <= outFeatures) || out.length !== (to - from) * inFeatures) {
    throw new RangeError(`Cannot expand columns ${from} to ${to} of (${inFeatures}, ${outFeatures}) to ${out.length}`)
  }
  const mask = 2 ** bits - 1
  const centre = 2 ** (bits - 1)
  for (let k = 0; k < inFeatures; k++) {
    const word = Math.floor((k * bits) / 32) * outFeatures
    const low = (k * bits) % 32
    const crosses = low + bits > 32
    const group = groupOf(linear, k) * outFeatures
    for (let n = from; n < to; n++) {
      let code = codes[word + n]! >>> low
      if (crosses) code |= codes[word + outFeatures + n]! << (32 - low)
      const zero = zeros === undefined ? centre : zeros[group + n]!
      out[(n - from) * inFeatures + k] = scales[group + n]! * ((code & mask) - zero)
    }
  }
  return out
}
