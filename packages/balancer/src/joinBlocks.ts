/**
 * Which blocks a new server takes: PETALS' rule.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { blockRates, type Placed } from "./Placement.ts"

/** Least value of each window of `length`: f64 (values - length + 1). O(values). */
const windowLeast = (values: Float64Array, length: number): Float64Array => {
  const least = new Float64Array(values.length - length + 1)
  // indices of candidates, their values ascending
  const queue = new Uint32Array(values.length)
  let head = 0
  let tail = 0
  for (let i = 0; i < values.length; i++) {
    while (tail > head && values[queue[tail - 1]!]! >= values[i]!) tail--
    queue[tail++] = i
    if (queue[head]! + length <= i) head++
    if (i >= length - 1) least[i - length + 1] = values[queue[head]!]!
  }
  return least
}

/** Negative if `a` comes before `b`, element by element. Equal lengths. */
const compare = (a: Float64Array, b: Float64Array): number => {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * First block of the window of `length` blocks whose ascending throughputs are lowest, lexicographically: the worst block first, then the
 * second worst; of equals the first window. O(blocks), and `length log length` for each window that holds the least block.
 *
 * @param rates f64 (blocks), borrowed
 * @see https://arxiv.org/abs/2312.08361 section 3.2
 */
export const lowestWindow = (rates: Float64Array, length: number): number => {
  if (!(Number.isSafeInteger(length) && length > 0 && length <= rates.length)) {
    throw new RangeError(`No window of ${length} blocks in ${rates.length}`)
  }
  const least = windowLeast(rates, length)
  let lowest = Infinity
  for (const value of least) if (value < lowest) lowest = value
  let best = 0
  let bestSorted: Float64Array | undefined
  for (let from = 0; from < least.length; from++) {
    if (least[from] !== lowest) continue
    const sorted = rates.slice(from, from + length).sort()
    if (bestSorted === undefined || compare(sorted, bestSorted) < 0) {
      best = from
      bestSorted = sorted
    }
  }
  return best
}

/**
 * The blocks for a server that joins `placed` and holds `count` (all, if that is more than there are). Servers that are joining
 * count as if they were there, so that several who come at once spread.
 *
 * @example Nobody serves the end
 * ```ts
 * import { joinBlocks } from "@swarm/balancer"
 *
 * const placed = [{ peer: "a", blocks: { from: 0, to: 4 }, rate: 1 }]
 * console.log(joinBlocks(placed, 8, 3)) // => { from: 4, to: 7 }
 * ```
 */
export const joinBlocks = (placed: ReadonlyArray<Placed>, blocks: number, count: number): BlockRange => {
  const length = Math.min(count, blocks)
  const from = lowestWindow(blockRates(placed, blocks), length)
  return { from, to: from + length }
}
