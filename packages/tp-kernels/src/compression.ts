/**
 * How far an AllReduce in a narrow format can be from the exact sum.
 * @module
 */
import type { WireCodec } from "@swarm/quant"
import type { AllReduceAlgorithm } from "./collectives.ts"

/** Error of one encoding: `unit` times the greatest magnitude of the values encoded together, at least `floor`. */
const errors: Readonly<Record<WireCodec, { readonly unit: number; readonly floor: number }>> = {
  f32: { unit: 0, floor: 0 },
  f16: { unit: 2 ** -11, floor: 2 ** -25 },
  bf16: { unit: 2 ** -8, floor: 2 ** -134 },
  int8: { unit: 1 / 253, floor: 1.5e-36 },
  dynamic8: { unit: 0.0071, floor: 8e-31 },
  int4: { unit: 1 / 13.9, floor: 8.3e-38 }
}

/** Times that a value is encoded on its way into the sum and out to all. */
export const encodings = (algorithm: AllReduceAlgorithm, size: number, nodeSize = size): number => {
  if (size === 1) return 0
  switch (algorithm) {
    case "one-shot":
      return 1
    case "direct":
      return 2
    case "ring":
      return size
    case "tree":
      return Math.ceil(Math.log2(size)) + 1
    case "hierarchical":
      return nodeSize + size / nodeSize - 1
  }
}

/**
 * Greatest error of a value of the sum. `magnitudes[r]`: the greatest magnitude among the values of rank r (that are
 * encoded together with this one: for f16 and bf16 only the value itself counts).
 *
 * After k encodings a contribution x is off by at most M ((1 + u)^k - 1), M the greatest magnitude and u the unit of the
 * codec; partial sums add these up (induction over the messages). The p - 1 roundings of f32 sums are included.
 */
export const allReduceErrorBound = (
  algorithm: AllReduceAlgorithm,
  codec: WireCodec,
  magnitudes: ReadonlyArray<number>,
  nodeSize = magnitudes.length
): number => {
  const { unit, floor } = errors[codec]
  const size = magnitudes.length
  const times = encodings(algorithm, size, nodeSize)
  const total = magnitudes.reduce((sum, magnitude) => sum + Math.abs(magnitude), 0)
  const growth = (1 + unit) ** times
  const sums = growth * ((1 + 2 ** -24) ** (size - 1) - 1)
  return total * (growth - 1 + sums) + size * times * floor * growth
}
