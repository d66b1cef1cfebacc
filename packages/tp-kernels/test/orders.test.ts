import { expect, it } from "vitest"
import {
  actOrder,
  groupAwareOrder,
  headOrder,
  magnitudeOrder,
  naturalOrder,
  type OrderInput,
  permutation,
  roundingError,
  searchOrder
} from "../src/index.ts"
import { random, values } from "./fixture.ts"

/** Weights whose rows, and inputs, differ in size by e to the power of `spread` times a normal number. */
const skewed = (seed: number, spread: number): OrderInput => {
  const next = random(seed)
  const [inFeatures, outFeatures, groupSize] = [128, 24, 16]
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  const weights = values(next, inFeatures * outFeatures)
  for (let k = 0; k < inFeatures; k++) {
    const size = Math.exp(spread * normal())
    for (let n = 0; n < outFeatures; n++) weights[k * outFeatures + n] = (weights[k * outFeatures + n] ?? 0) * size
  }
  const importance = Float32Array.from({ length: inFeatures }, () => Math.exp(2 * spread * normal()))
  return { weights, inFeatures, outFeatures, groupSize, importance }
}

const orders = {
  naturalOrder,
  actOrder,
  magnitudeOrder,
  groupAwareOrder,
  headOrder: headOrder({ heads: 8, kvHeads: 2, headDim: 16 }),
  searchOrder: searchOrder({ tries: 300 })
}

it.each(Object.entries(orders))("%s gives a permutation, and takes no wrong shapes", (_name, order) => {
  const input = skewed(1, 1)
  expect(permutation(order(input), input.inFeatures)).toEqual(order(input))
  if (order === naturalOrder) return
  expect(() => order({ ...input, weights: input.weights.subarray(1) })).toThrow(RangeError)
  expect(() => order({ ...input, groupSize: 0 })).toThrow(RangeError)
})

it("what each is made for", () => {
  const input = skewed(2, 1)
  const importance = Array.from(actOrder(input), (row) => input.importance[row] ?? 0)
  expect(importance).toEqual(importance.toSorted((a, b) => b - a))
  const groups = Array.from({ length: 8 }, (_, g) => groupAwareOrder(input).subarray(16 * g, 16 * (g + 1)))
  for (const rows of groups) expect(new Set(Array.from(rows, (row) => Math.floor(row / 16))).size).toBe(1)
  // Groups of the same rows have the same scales, whatever their order.
  expect(roundingError(input, groupAwareOrder(input))).toBeCloseTo(roundingError(input, naturalOrder(input)), 3)
})

it("rows of like magnitude lose less where only the weights' sizes differ", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { importance, ...rest } = skewed(seed, 0.3)
    const input = { ...rest, importance: importance.fill(1) }
    expect(roundingError(input, magnitudeOrder(input))).toBeLessThan(roundingError(input, naturalOrder(input)))
  }
})

it("a search loses less than its start, wherever that is", () => {
  for (const [seed, start] of [naturalOrder, actOrder, magnitudeOrder].entries()) {
    const input = skewed(seed, 1)
    const found = searchOrder({ seed, tries: 600, start })(input)
    expect(roundingError(input, found)).toBeLessThan(0.8 * roundingError(input, start(input)))
  }
})

it("the same seed finds the same order, no tries the start", () => {
  const input = skewed(3, 1)
  expect(searchOrder({ seed: 9, tries: 200 })(input)).toEqual(searchOrder({ seed: 9, tries: 200 })(input))
  expect(searchOrder({ tries: 0, start: actOrder })(input)).toEqual(actOrder(input))
})

it("the error is that of the definition", () => {
  const weights = Float32Array.of(7, 1.4, -2.2, 3.5)
  const input = { weights, inFeatures: 2, outFeatures: 2, groupSize: 1, importance: Float32Array.of(1, 10) }
  // One row a group: each weight is its own scale's greatest code.
  expect(roundingError(input, naturalOrder(input))).toBeCloseTo(0, 9)
  // Scales 7 / 7 and 3.5 / 7: -2.2 becomes -2, 1.4 becomes 1.5.
  expect(roundingError({ ...input, groupSize: 2 }, naturalOrder(input))).toBeCloseTo(10 * 0.2 ** 2 + 0.1 ** 2, 5)
})
