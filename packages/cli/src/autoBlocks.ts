/**
 * Which blocks a new server should take.
 * @module
 */
import type { Announcement, BlockRange } from "@swarm/protocol"

/**
 * The window of `count` blocks whose sorted throughputs are lowest, lexicographically; of equals the first: PETALS' rule
 * for a server that joins (arXiv 2312.08361, section 3.2). Throughput of a block: the sum of its servers' decode rates,
 * joining ones included. O(blocks x count log count).
 */
export const chooseBlocks = (announcements: ReadonlyArray<Announcement>, blocks: number, count: number): BlockRange => {
  const length = Math.min(count, blocks)
  const rates = new Array<number>(blocks).fill(0)
  for (const { blocks: span, decodeRate, state } of announcements) {
    if (state === "draining") continue
    for (let block = span.from; block < Math.min(span.to, blocks); block++)
      rates[block] = (rates[block] ?? 0) + decodeRate
  }
  let best = 0
  let lowest: ReadonlyArray<number> | undefined
  for (let from = 0; from + length <= blocks; from++) {
    const window = rates.slice(from, from + length).sort((a, b) => a - b)
    if (lowest === undefined || isLower(window, lowest)) {
      best = from
      lowest = window
    }
  }
  return { from: best, to: best + length }
}

const isLower = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean => {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
