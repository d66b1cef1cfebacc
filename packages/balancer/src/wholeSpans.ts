/**
 * Placement for swarms whose sessions use spans whole: blocks that are covered are worth nothing unless spans meet end to end.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { blockRates, bottleneck, type Placed } from "./Placement.ts"

/** Boundaries reachable from 0 by whole spans: u8 (blocks + 1), 1 where so. O(blocks held). */
const fromStart = (spans: ReadonlyArray<BlockRange>, blocks: number): Uint8Array => {
  const reached = new Uint8Array(blocks + 1)
  reached[0] = 1
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) if (reached[from] === 1) reached[to] = 1
  return reached
}

const mirrored = ({ from, to }: BlockRange, blocks: number): BlockRange => ({ from: blocks - to, to: blocks - from })

/** Blocks to which whole spans lead from the first one on. */
export const chainedBlocks = (placed: ReadonlyArray<Placed>, blocks: number): number =>
  fromStart(
    placed.map(({ blocks: span }) => span),
    blocks
  ).lastIndexOf(1)

/** Whether whole spans lead from the first block to the last. */
export const isChained = (placed: ReadonlyArray<Placed>, blocks: number): boolean =>
  chainedBlocks(placed, blocks) === blocks

/**
 * The blocks for a server that joins and holds at most `count`, where spans are used whole. While there is no chain: the range that completes one,
 * if it is short enough; else as far as it goes from where a chain gets stuck. With a chain: of the ranges that fit between its boundaries, the one with
 * the weakest block; of equals the longest, then the first. It may be shorter than `count`. O(blocks · length²).
 */
export const joinWhole = (placed: ReadonlyArray<Placed>, blocks: number, count: number): BlockRange => {
  const length = Math.min(count, blocks)
  if (!(Number.isSafeInteger(length) && length > 0))
    throw new RangeError(`A server holds at least one block, not ${count}`)
  const rates = blockRates(placed, blocks)
  const spans = placed.map(({ blocks: span }) => span)
  const start = fromStart(spans, blocks)
  const toEnd = fromStart(
    spans.map((span) => mirrored(span, blocks)),
    blocks
  ).reverse()
  let best: BlockRange | undefined
  let least = Number.POSITIVE_INFINITY
  let size = 0
  const isChain = start[blocks] === 1
  for (let from = 0; from < blocks; from++) {
    if (start[from] !== 1) continue
    for (let to = from + 1; to <= Math.min(blocks, from + length); to++) {
      if (toEnd[to] !== 1) continue
      const weakest = bottleneck(rates.subarray(from, to))
      // a gap is closed with as few blocks as it takes, a weak place strengthened with as many as fit
      const isBetter = weakest < least || (weakest === least && (isChain ? to - from > size : to - from < size))
      if (!isBetter) continue
      best = { from, to }
      least = weakest
      size = to - from
    }
  }
  if (best !== undefined) return best
  // too short for any gap or place: begin one, from the farthest point that is reached, or where the chain is weakest
  let from = start.lastIndexOf(1, blocks - 1)
  for (let other = from; isChain && other >= 0; other--) {
    if (start[other] !== 1 || other + length > blocks) continue
    const weakest = bottleneck(rates.subarray(other, other + length))
    if (weakest > least) continue
    from = other
    least = weakest
  }
  return { from, to: Math.min(blocks, from + length) }
}
