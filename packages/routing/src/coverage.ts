/**
 * Which blocks whole spans can cover, and what is missing.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"

interface Spanning {
  readonly blocks: BlockRange
}

/**
 * Boundaries from which `to` can be reached by whole spans (with `partial`, by parts of them), `to` included. O(spans +
 * blocks).
 */
export const reachesEnd = (
  spans: ReadonlyArray<Spanning>,
  blocks: BlockRange,
  partial = false
): ReadonlySet<number> => {
  if (partial) {
    const after = uncovered(spans, blocks).at(-1)?.to ?? blocks.from
    return new Set(Array.from({ length: blocks.to - after + 1 }, (_, more) => after + more))
  }
  const startingAt = new Map<number, Set<number>>()
  for (const { blocks: span } of spans) {
    const ends = startingAt.get(span.from)
    if (ends === undefined) startingAt.set(span.from, new Set([span.to]))
    else ends.add(span.to)
  }
  const reached = new Set([blocks.to])
  for (let block = blocks.to - 1; block >= blocks.from; block--) {
    for (const to of startingAt.get(block) ?? []) if (reached.has(to)) reached.add(block)
  }
  return reached
}

/** Boundaries that can be reached from `from`, `from` included: the same in the mirror. */
const reachedFromStart = (spans: ReadonlyArray<Spanning>, blocks: BlockRange): ReadonlyArray<number> => {
  const mirrored = spans.map(({ blocks: { from, to } }) => ({ blocks: { from: -to, to: -from } }))
  return [...reachesEnd(mirrored, { from: -blocks.to, to: -blocks.from })].map((block) => 0 - block)
}

/** Ranges of `blocks` in no span. */
const uncovered = (spans: ReadonlyArray<Spanning>, blocks: BlockRange): Array<BlockRange> => {
  const ranges: Array<BlockRange> = []
  let end = blocks.from
  for (const { blocks: span } of spans.toSorted((a, b) => a.blocks.from - b.blocks.from)) {
    if (span.from > end) ranges.push({ from: end, to: span.from })
    end = Math.max(end, span.to)
  }
  if (end < blocks.to) ranges.push({ from: end, to: blocks.to })
  return ranges
}

/**
 * What keeps `spans` from covering `blocks` as a chain: the ranges that no span covers; if every block is covered but
 * no chain of whole spans fits, the narrowest range (the first of them) that would join one. Empty if there is a chain.
 */
export const missingBlocks = (
  spans: ReadonlyArray<Spanning>,
  blocks: BlockRange,
  partial = false
): ReadonlyArray<BlockRange> => {
  if (partial) return uncovered(spans, blocks)
  const toEnd = reachesEnd(spans, blocks)
  if (toEnd.has(blocks.from)) return []
  const holes = uncovered(spans, blocks)
  if (holes.length > 0) return holes
  let narrowest = blocks
  for (const from of reachedFromStart(spans, blocks).toSorted((a, b) => a - b)) {
    for (const to of toEnd) {
      if (to > from && to - from < narrowest.to - narrowest.from) narrowest = { from, to }
    }
  }
  return [narrowest]
}
