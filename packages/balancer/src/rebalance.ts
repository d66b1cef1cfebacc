/**
 * Whether a server should take other blocks: PETALS' rule.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { lowestWindow } from "./joinBlocks.ts"
import { addRate, blockHolders, blockRates, bottleneck, isSpare, lengthOf, type Placed } from "./Placement.ts"

/** A place is left with slightly more than what one adds to it, so that staying is preferred among equals. */
const SLACK = 1e-3

/** @see rebalance */
export interface RebalanceOptions {
  /** Move only if the bottleneck now is below this share of what it would be. 0: never, above 1: always. @default {0.75} */
  readonly quality?: number
  /** Uniform in [0, 1): the order in which the others' moves are imagined. @default {Math.random} */
  readonly random?: () => number
}

/** What a server decided. */
export interface Decision {
  /** The blocks to move to; undefined: stay. */
  readonly move: BlockRange | undefined
  readonly reason: "alone" | "settled" | "no-gain" | "gain" | "forced"
  /** Bottleneck now over the bottleneck after everybody's moves; 1 where that was not worked out. */
  readonly quality: number
}

/** Sweeps after which imagined moves are taken to have settled; they need two or three. */
const MAX_SWEEPS = 64

/** Shuffles in place, as Fisher and Yates. */
const shuffle = <A>(items: Array<A>, random: () => number): void => {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [items[i], items[j]]
    if (a !== undefined && b !== undefined) [items[i], items[j]] = [b, a]
  }
}

/** Everybody moves where it is worst, in random order, until nobody wants to. Changes `rates` and `spans`. */
const settle = (rates: Float64Array, spans: Map<Placed, BlockRange>, random: () => number): void => {
  const order = [...spans.keys()]
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    shuffle(order, random)
    let moved = false
    for (const server of order) {
      const span = spans.get(server) ?? server.blocks
      addRate(rates, span, -server.rate * (1 + SLACK))
      const from = lowestWindow(rates, lengthOf(span))
      addRate(rates, span, server.rate * SLACK)
      const target = from === span.from ? span : { from, to: from + lengthOf(span) }
      if (target !== span) {
        spans.set(server, target)
        moved = true
      }
      addRate(rates, target, server.rate)
    }
    if (!moved) return
  }
}

/**
 * Decides whether `peer` should move, by imagining the greedy moves of everybody. A move that would leave a block to nobody
 * is never proposed. All servers come to similar conclusions at the same time: use {@link makeRecheck} to keep them from moving at once.
 *
 * O(sweeps · servers · blocks). Throws `RangeError` if `peer` is not among the servers.
 * @see https://arxiv.org/abs/2312.08361 section 3.2, and `server/block_selection.py` of Petals 2
 */
export const rebalance = (
  peer: string,
  placed: ReadonlyArray<Placed>,
  blocks: number,
  options: RebalanceOptions = {}
): Decision => {
  const { quality = 0.75, random = Math.random } = options
  const own = placed.find((server) => server.peer === peer)
  if (own === undefined) throw new RangeError(`Server "${peer}" is not placed`)
  const rates = blockRates(placed, blocks)
  const initial = bottleneck(rates)
  const spare = isSpare(own, blockHolders(placed, blocks))
  addRate(rates, own.blocks, -own.rate * (1 + SLACK))
  const from = lowestWindow(rates, lengthOf(own.blocks))
  const target = { from, to: from + lengthOf(own.blocks) }
  const needed = !spare && uncovers(own, target, blockHolders(placed, blocks))
  if (needed || (initial > SLACK && bottleneck(rates) <= 0)) return { move: undefined, reason: "alone", quality: 1 }
  if (quality > 1) return { move: target, reason: "forced", quality: 1 }
  if (from === own.blocks.from) return { move: undefined, reason: "settled", quality: 1 }
  addRate(rates, own.blocks, own.rate * SLACK)
  addRate(rates, target, own.rate)
  settle(rates, new Map(placed.map((server) => [server, server === own ? target : server.blocks])), random)
  const reached = bottleneck(rates)
  if (reached < initial || reached < SLACK) return { move: undefined, reason: "no-gain", quality: 1 }
  const actual = initial / reached
  return actual < quality - SLACK
    ? { move: target, reason: "gain", quality: actual }
    : { move: undefined, reason: "no-gain", quality: actual }
}

/** Whether a move to `target` would leave a block to nobody. */
const uncovers = (own: Placed, target: BlockRange, holders: Uint32Array): boolean => {
  for (let block = own.blocks.from; block < own.blocks.to; block++) {
    if (holders[block]! < 2 && !(target.from <= block && block < target.to)) return true
  }
  return false
}
