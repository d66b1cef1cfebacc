/**
 * Whether a server should take other blocks, in swarms whose sessions use spans whole.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { blockHolders, blockRates, bottleneck, isSpare, type Placed } from "./Placement.ts"
import { type Decision, type RebalanceOptions, rebalance } from "./rebalance.ts"
import { chainedBlocks, joinWhole } from "./wholeSpans.ts"

const same = (a: BlockRange, b: BlockRange): boolean => a.from === b.from && a.to === b.to

/**
 * As {@link rebalance}, for a server that holds at most `count` blocks. The target is that of `joinWhole`; a move that would leave a block to
 * nobody or break the chain is never proposed. A spare server makes a broken chain longer whatever the quality.
 */
export const rebalanceWhole = (
  peer: string,
  placed: ReadonlyArray<Placed>,
  blocks: number,
  count: number,
  options: RebalanceOptions = {}
): Decision => {
  const wish = rebalance(peer, placed, blocks, options)
  const own = placed.find((server) => server.peer === peer)
  if (own === undefined || !isSpare(own, blockHolders(placed, blocks))) {
    return { move: undefined, reason: "alone", quality: 1 }
  }
  const reached = chainedBlocks(placed, blocks)
  const chained = reached === blocks
  if (wish.move === undefined && chained) return wish
  const others = placed.filter((server) => server !== own)
  const target = joinWhole(others, blocks, count)
  const after = [...others, { ...own, blocks: target }]
  const stay: Decision = { move: undefined, reason: "no-gain", quality: wish.quality }
  if (same(target, own.blocks)) return stay
  // it may take several servers to close the gaps: each makes the chain longer
  if (!chained) return chainedBlocks(after, blocks) > reached ? { move: target, reason: "gain", quality: 0 } : stay
  if (chainedBlocks(after, blocks) < blocks) return stay
  const [now, then] = [placed, after].map((servers) => bottleneck(blockRates(servers, blocks)))
  return now !== undefined && then !== undefined && (then >= now || wish.reason === "forced")
    ? { move: target, reason: wish.reason, quality: wish.quality }
    : stay
}
