/**
 * Joins layers that share an input into one, so that one kernel call computes all of them (q, k, v; gate, up).
 * @module
 */
import { type BlockLinear, layoutOfLinear, sameLayout } from "./BlockLinear.ts"

const total = (arrays: ReadonlyArray<ArrayLike<number>>): number => arrays.reduce((sum, { length }) => sum + length, 0)

const concat = <A extends Uint8Array | Float32Array>(parts: ReadonlyArray<A>, out: A): A => {
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Offsets are (blocks, N): each row of the result is that row of every part. */
const concatColumns = (parts: ReadonlyArray<Float32Array>, blocks: number): Float32Array => {
  const out = new Float32Array(total(parts))
  const columns = out.length / blocks
  let at = 0
  for (const part of parts) {
    const width = part.length / blocks
    for (let b = 0; b < blocks; b++) out.set(part.subarray(b * width, (b + 1) * width), b * columns + at)
    at += width
  }
  return out
}

/**
 * Stacks layers along N: the outputs of the result are those of `parts[0]`, then of `parts[1]`, ...
 *
 * Fresh arrays, except for a single part, which is returned as it is. Undefined if the layouts or K differ: the caller
 * then keeps the layers apart. Throws `RangeError` for no parts.
 */
export const concatRows = (parts: ReadonlyArray<BlockLinear>): BlockLinear | undefined => {
  const first = parts[0]
  if (first === undefined) throw new RangeError("Cannot join no layers")
  if (parts.length === 1) return first
  const layout = layoutOfLinear(first)
  for (const part of parts) {
    if (part.inFeatures !== first.inFeatures || !sameLayout(layout, layoutOfLinear(part))) return undefined
  }
  const { bits, blockSize, inFeatures } = first
  const packed = parts.map((part) => part.packed)
  const scales = parts.map((part) => part.scales)
  const zeroPoints = parts.flatMap((part) => part.zeroPoints ?? [])
  const offsets = parts.flatMap((part) => part.offsets ?? [])
  return {
    bits,
    blockSize,
    inFeatures,
    outFeatures: parts.reduce((sum, part) => sum + part.outFeatures, 0),
    packed: concat(packed, new Uint8Array(total(packed))),
    scales: concat(scales, new Float32Array(total(scales))),
    ...(layout.hasZeroPoints ? { zeroPoints: concat(zeroPoints, new Uint8Array(total(zeroPoints))) } : {}),
    ...(layout.hasOffsets ? { offsets: concatColumns(offsets, Math.ceil(inFeatures / blockSize)) } : {})
  }
}
