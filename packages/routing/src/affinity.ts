/**
 * Keeping to a chain that serves well enough.
 * @module
 */
import type { Candidate } from "./candidates.ts"
import type { Chain } from "./graph.ts"
import type { Hop } from "./Router.ts"
import type { Weighing } from "./weights.ts"
import { blockCost, entryCost, linkCost, returnCost } from "./weights.ts"

/** A former chain is kept while it takes no more than this share longer than the best. */
export const KEEP_WITHIN = 0.2

/** Time of one token through `hops`, in seconds: what `shortestChain` makes least. */
export const chainSeconds = (hops: ReadonlyArray<Candidate>, weighing: Weighing): number => {
  let total = 0
  let before: Candidate | undefined
  for (const hop of hops) {
    const { from, to } = hop.blocks
    const overClient = (before === undefined ? 0 : returnCost(before, weighing)) + entryCost(hop, weighing)
    const link = before === undefined ? undefined : linkCost(before, hop, weighing)
    total += Math.min(overClient, link ?? Number.POSITIVE_INFINITY) + (to - from) * blockCost(hop, weighing)
    before = hop
  }
  if (before !== undefined) total += returnCost(before, weighing)
  return total / 1e9
}

/**
 * The chain of `previous`, if all its servers are still candidates and it is nearly as good as `best`; else `best`. A
 * session that goes on with the servers of the one before finds its prefix in their caches, and two chains of about the
 * same cost do not take turns.
 */
export const keepChain = (
  previous: ReadonlyArray<Hop>,
  candidates: Iterable<Candidate>,
  best: Chain,
  weighing: Weighing,
  partial = false
): Chain => {
  const byPeer = new Map<string, Array<Hop>>()
  for (const hop of previous) byPeer.set(hop.peer, [...(byPeer.get(hop.peer) ?? []), hop])
  const found = new Map<Hop, Candidate>()
  for (const candidate of candidates) {
    const { from, to } = candidate.blocks
    for (const hop of byPeer.get(candidate.peer) ?? []) {
      const { blocks } = hop
      const isServed = partial ? from <= blocks.from && to >= blocks.to : from === blocks.from && to === blocks.to
      if (isServed) found.set(hop, { ...candidate, blocks })
    }
  }
  const hops = previous.flatMap((hop) => found.get(hop) ?? [])
  const isWhole =
    hops.length === previous.length &&
    hops[0]?.blocks.from === best.hops[0]?.blocks.from &&
    hops.at(-1)?.blocks.to === best.hops.at(-1)?.blocks.to &&
    hops.every(({ blocks }, index) => index === 0 || blocks.from === hops[index - 1]?.blocks.to)
  if (!isWhole) return best
  const seconds = chainSeconds(hops, weighing)
  return seconds <= best.seconds * (1 + KEEP_WITHIN) ? { hops, seconds } : best
}
