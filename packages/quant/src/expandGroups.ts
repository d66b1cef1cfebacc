/**
 * Grouped codes to floats.
 * @module
 */
import { type GroupedCodes, groupOf } from "./GroupedCodes.ts"
import { forColumns } from "./internal/columns.ts"
import { unpackStream } from "./internal/streams.ts"

/**
 * Columns [from, to) of W as rows of floats: f32 (to - from, K) into `out`, inputs as they are in the file; each value is
 * scale * (code - zero), rounded once to f32 (exact for scales of 16 bits).
 *
 * Throws `RangeError` if `out` has not that length. O(K (to - from)), about 5 ns a weight.
 * @returns `out`
 */
export const expandGroups = (linear: GroupedCodes, from: number, to: number, out: Float32Array): Float32Array => {
  const { bits, codes, scales, zeros, inFeatures, outFeatures } = linear
  if (!(from >= 0 && from <= to && to <= outFeatures) || out.length !== (to - from) * inFeatures) {
    throw new RangeError(`Cannot expand columns ${from} to ${to} of (${inFeatures}, ${outFeatures}) to ${out.length}`)
  }
  const groups = Uint32Array.from({ length: inFeatures }, (_, k) => groupOf(linear, k) * outFeatures)
  const columns = Uint32Array.from({ length: to - from }, (_, i) => from + i)
  const column = new Uint8Array(inFeatures)
  forColumns(codes, outFeatures, columns, (words, i) => {
    unpackStream(words, bits, column)
    scaleColumn(column, groups, from + i, scales, zeros, 2 ** (bits - 1), out, i * inFeatures)
  })
  return out
}

const scaleColumn = (
  codes: Uint8Array,
  groups: Uint32Array,
  n: number,
  scales: Float32Array,
  zeros: Uint8Array | undefined,
  centre: number,
  out: Float32Array,
  to: number
): void => {
  for (let k = 0; k < codes.length; k++) {
    const at = groups[k]! + n
    out[to + k] = scales[at]! * (codes[k]! - (zeros === undefined ? centre : zeros[at]!))
  }
}
