/**
 * Output features of a layer in another order.
 * @module
 */
import type { BlockLinear } from "./BlockLinear.ts"

/**
 * The layer whose output i is output rows[i] of `linear`: fresh arrays, codes and scales unchanged. Throws `RangeError` for
 * a row that there is not. O(bytes of the result).
 */
export const takeRows = (linear: BlockLinear, rows: Uint32Array): BlockLinear => {
  const { outFeatures, packed, scales, zeroPoints, offsets } = linear
  const beyond = rows.find((row) => row >= outFeatures)
  if (beyond !== undefined) throw new RangeError(`Cannot take row ${beyond} of ${outFeatures}`)
  const blocks = scales.length / outFeatures
  const columns = offsets && new Float32Array(blocks * rows.length)
  if (offsets !== undefined && columns !== undefined) {
    for (let b = 0; b < blocks; b++) {
      for (let i = 0; i < rows.length; i++) columns[b * rows.length + i] = offsets[b * outFeatures + rows[i]!]!
    }
  }
  return {
    ...linear,
    outFeatures: rows.length,
    packed: take(packed, outFeatures, rows, new Uint8Array((packed.length / outFeatures) * rows.length)),
    scales: take(scales, outFeatures, rows, new Float32Array(blocks * rows.length)),
    ...(zeroPoints === undefined
      ? {}
      : {
          zeroPoints: take(
            zeroPoints,
            outFeatures,
            rows,
            new Uint8Array((zeroPoints.length / outFeatures) * rows.length)
          )
        }),
    ...(columns === undefined ? {} : { offsets: columns })
  }
}

const take = <A extends Uint8Array | Float32Array>(source: A, height: number, rows: Uint32Array, out: A): A => {
  const width = source.length / height
  for (let i = 0; i < rows.length; i++) out.set(source.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width)
  return out
}
