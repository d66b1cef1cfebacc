/**
 * What orders of rows are worth: rounding errors relative to the natural order, for synthetic layers.
 * usage: node --import tsx --conditions=swarm-src bench/orders.ts
 * @module
 */
import {
  actOrder,
  groupAwareOrder,
  magnitudeOrder,
  naturalOrder,
  type Order,
  type OrderInput,
  roundingError,
  searchOrder
} from "@swarm/tp-kernels"

const LAYERS = 8
const tries = 4000
const orders: Readonly<Record<string, Order>> = {
  "act-order": actOrder,
  magnitude: magnitudeOrder,
  "group-aware": groupAwareOrder,
  "search from natural": searchOrder({ start: naturalOrder, tries }),
  "search from magnitude": searchOrder({ tries }),
  "search from act-order": searchOrder({ start: actOrder, tries })
}

/** Normal numbers from a linear congruential generator and Box and Muller's transform. */
const normals = (seed: number) => {
  let state = (seed * 2654435761) >>> 0
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

/** Sizes of rows and of inputs are log-normal with these deviations. */
const layer = (seed: number, rowDeviation: number, inputDeviation: number): OrderInput => {
  const normal = normals(seed)
  const [inFeatures, outFeatures, groupSize] = [256, 32, 32]
  const sizes = Float32Array.from({ length: inFeatures }, () => Math.exp(rowDeviation * normal()))
  const weights = Float32Array.from(
    { length: inFeatures * outFeatures },
    (_, i) => normal() * (sizes[Math.floor(i / outFeatures)] ?? 1)
  )
  const importance = Float32Array.from({ length: inFeatures }, () => Math.exp(2 * inputDeviation * normal()))
  return { weights, inFeatures, outFeatures, groupSize, importance }
}

console.log(`| rows, inputs | ${Object.keys(orders).join(" | ")} |`)
console.log(`| --- ${"| --- ".repeat(Object.keys(orders).length)}|`)
for (const [rows, inputs] of [
  [0, 0],
  [0, 1],
  [0.3, 0.3],
  [0.3, 1],
  [1, 0],
  [1, 1]
] as const) {
  const cells = Object.values(orders).map((order) => {
    const ratios = Array.from({ length: LAYERS }, (_, seed) => {
      const input = layer(seed + 1, rows, inputs)
      return roundingError(input, order(input)) / roundingError(input, naturalOrder(input))
    })
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / LAYERS)
    return `${mean.toFixed(2)} (worse in ${ratios.filter((ratio) => ratio > 1.0001).length})`
  })
  console.log(`| ${rows}, ${inputs} | ${cells.join(" | ")} |`)
}
