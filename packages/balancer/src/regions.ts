/**
 * Placement that knows where servers are: a region that can hold the whole model holds it, so that chains stay inside.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { chainSeconds, type Prices } from "./chainSeconds.ts"
import { type Improvement, type ImproveOptions, improve } from "./improve.ts"
import { joinBlocks, lowestWindow } from "./joinBlocks.ts"
import { orderMoves } from "./moves.ts"
import { blockRates, bottleneck, evenBound, lengthOf, type Placed } from "./Placement.ts"

/** "eu/paris/a" -> itself, "eu/paris", "eu": the nearest first. */
const levels = (region: string): ReadonlyArray<string> => {
  const parts = region.split("/").filter((part) => part !== "")
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"))
}

const isWithin = ({ region = "" }: Placed, level: string): boolean => region === level || region.startsWith(`${level}/`)

const capacity = (placed: ReadonlyArray<Placed>): number =>
  placed.reduce((sum, { blocks }) => sum + lengthOf(blocks), 0)

/**
 * The blocks for a server that joins in `region`: what nobody serves at all comes first; then what is weakest in the nearest region that,
 * with the newcomer, can hold the whole model; else what is weakest anywhere.
 */
export const joinRegional = (
  placed: ReadonlyArray<Placed>,
  blocks: number,
  count: number,
  region: string
): BlockRange => {
  const length = Math.min(count, blocks)
  if (bottleneck(blockRates(placed, blocks)) <= 0) return joinBlocks(placed, blocks, length)
  for (const level of levels(region)) {
    const near = placed.filter((server) => isWithin(server, level))
    if (capacity(near) + length >= blocks) return joinBlocks(near, blocks, length)
  }
  return joinBlocks(placed, blocks, length)
}

/** @see joinNear */
export interface NearOptions extends Prices {
  /** Throughput that the newcomer will give each block. */
  readonly rate: number
  readonly region: string
  /** Windows count as equal if their weakest blocks differ by less than this share of the even bound. @default {0.1} */
  readonly tolerance?: number
}

/**
 * The blocks for a server that joins, by latency: of the windows that help the bottleneck about as much as PETALS' choice, the one that
 * makes the client's token cheapest. O(blocks) times the cost of `chainSeconds`.
 */
export const joinNear = (
  placed: ReadonlyArray<Placed>,
  blocks: number,
  count: number,
  options: NearOptions
): BlockRange => {
  const length = Math.min(count, blocks)
  const rates = blockRates(placed, blocks)
  const first = lowestWindow(rates, length)
  const { rate, region, tolerance = 0.1 } = options
  const slack = bottleneck(rates) <= 0 ? 0 : tolerance * evenBound(placed, blocks)
  const weakest = (from: number): number => bottleneck(rates.subarray(from, from + length))
  const holes = (from: number): number =>
    rates.subarray(from, from + length).reduce((sum, r) => sum + (r <= 0 ? 1 : 0), 0)
  const [limit, mostHoles] = [weakest(first) + slack, holes(first)]
  let best: BlockRange = { from: first, to: first + length }
  let least = Number.POSITIVE_INFINITY
  for (let from = 0; from + length <= blocks; from++) {
    if (weakest(from) > limit || holes(from) < mostHoles) continue
    const candidate = { from, to: from + length }
    const newcomer: Placed = { peer: "\uffff", blocks: candidate, rate, region }
    const seconds = chainSeconds([...placed, newcomer], blocks, options)
    if (seconds < least) {
      least = seconds
      best = candidate
    }
  }
  return best
}

/** Groups of servers that can hold the whole model on their own, the nearest regions first, and those that are left over. */
const groups = (placed: ReadonlyArray<Placed>, blocks: number) => {
  const all = placed.flatMap(({ region = "" }) => levels(region))
  const deepestFirst = [...new Set(all)].sort((a, b) => b.split("/").length - a.split("/").length || (a < b ? -1 : 1))
  const whole: Array<ReadonlyArray<Placed>> = []
  let rest = placed
  for (const level of deepestFirst) {
    const near = rest.filter((server) => isWithin(server, level))
    if (near.length === 0 || capacity(near) < blocks) continue
    whole.push(near)
    rest = rest.filter((server) => !isWithin(server, level))
  }
  return { whole, rest }
}

/**
 * {@link improve} by region: every region that can hold the whole model is balanced by itself; servers of the others fill in where the
 * whole is weakest.
 */
export const improveRegional = (
  placed: ReadonlyArray<Placed>,
  blocks: number,
  options: ImproveOptions = {}
): Improvement => {
  const before = bottleneck(blockRates(placed, blocks))
  const { whole, rest } = groups(placed, blocks)
  const target = new Map(placed.map(({ peer, blocks: span }) => [peer, span]))
  const apply = ({ moves }: Improvement): void => {
    for (const { peer, to } of moves) target.set(peer, to)
  }
  for (const group of whole) apply(improve(group, blocks, options))
  const moved = placed.map((server) => ({ ...server, blocks: target.get(server.peer) ?? server.blocks }))
  if (rest.length > 0) {
    const others = whole.flatMap((group) => group.map(({ peer }) => peer))
    apply(improve(moved, blocks, { ...options, pinned: new Set([...others, ...(options.pinned ?? [])]) }))
  }
  const wanted = placed.flatMap(({ peer, blocks: from }) => {
    const to = target.get(peer) ?? from
    return to.from === from.from ? [] : [{ peer, from, to }]
  })
  const moves = orderMoves(placed, blocks, wanted)
  const ends = new Map(moves.map(({ peer, to }) => [peer, to]))
  const after = placed.map((server) => ({ ...server, blocks: ends.get(server.peer) ?? server.blocks }))
  return { moves, before, after: bottleneck(blockRates(after, blocks)) }
}
