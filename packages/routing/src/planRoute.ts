/**
 * One decision of the router, as a pure function.
 * @module
 */
import type { Announcement, BlockRange } from "@swarm/protocol"
import type { Bans } from "./bans.ts"
import type { Costs } from "./Costs.ts"
import { rateOr } from "./Costs.ts"
import type { Candidate } from "./candidates.ts"
import { selectCandidates } from "./candidates.ts"
import { missingBlocks, reachesEnd } from "./coverage.ts"
import type { Chain } from "./graph.ts"
import { buildGraph, shortestChain } from "./graph.ts"
import type { LeftOut, RouteRequest } from "./Router.ts"
import type { RoundTrips } from "./weights.ts"

/** What the router knows at the moment of a request. */
export interface Knowledge {
  readonly announcements: Iterable<Announcement>
  readonly bans: Bans
  readonly trips: RoundTrips
  readonly costs: Costs
  /** Seconds of the clock that `bans` was told. */
  readonly now: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** The chain, or why there is none. */
export type RoutePlan =
  | {
      readonly _tag: "Route"
      readonly hops: ReadonlyArray<Candidate>
      /** Expected time of one token, in seconds; undefined for a chain that was drawn by rate. */
      readonly seconds: number | undefined
      readonly leftOut: ReadonlyArray<LeftOut>
    }
  | {
      readonly _tag: "NoRoute"
      readonly missing: ReadonlyArray<BlockRange>
      readonly leftOut: ReadonlyArray<LeftOut>
    }

/** Share of the draw of a server without room or banned. */
const LAST_RESORT = 1e-6

/** One of `items`, with a probability in proportion to its weight; undefined if there are none. */
const draw = <A>(items: ReadonlyArray<A>, weight: (item: A) => number, random: () => number): A | undefined => {
  let left = random() * items.reduce((sum, item) => sum + weight(item), 0)
  for (const item of items) {
    left -= weight(item)
    if (left < 0) return item
  }
  return items.at(-1)
}

/**
 * Draws a chain: at each boundary one of the servers from which the end can be reached, with a probability in proportion to its
 * rate, so that the work of many requests is shared by speed. Undefined if there is no chain.
 */
export const sampleChain = (
  candidates: ReadonlyArray<Candidate>,
  blocks: BlockRange,
  unknownRate: number,
  random: () => number
): ReadonlyArray<Candidate> | undefined => {
  const toEnd = reachesEnd(candidates, blocks)
  const hops: Array<Candidate> = []
  for (let block = blocks.from; block < blocks.to; ) {
    const open = candidates.filter(({ blocks: { from, to } }) => from === block && toEnd.has(to))
    const drawn = draw(
      open,
      ({ prefillRate, hasRoom, banSeconds }) => {
        return rateOr(prefillRate, unknownRate) * (hasRoom && banSeconds === 0 ? 1 : LAST_RESORT)
      },
      random
    )
    if (drawn === undefined) return undefined
    hops.push(drawn)
    block = drawn.blocks.to
  }
  return hops
}

/** The best chain among the candidates that continue to the bit, if there are such; else among all. */
const bestChain = (
  candidates: ReadonlyArray<Candidate>,
  request: RouteRequest,
  knowledge: Knowledge
): Chain | undefined => {
  const { blocks, digest } = request
  const exact = candidates.filter(
    (candidate) =>
      digest !== undefined &&
      digest !== "" &&
      candidate.digest === digest &&
      candidate.blocks.from === blocks.from &&
      candidate.blocks.to === blocks.to
  )
  const { trips, costs } = knowledge
  const weighing = { trips, costs, bytes: request.bytes ?? 0 }
  return shortestChain(buildGraph(exact.length > 0 ? exact : candidates, blocks, weighing, request.partial))
}

/**
 * Plans the chain for `request`.
 *
 * Banned peers are left out. If no chain is left, those are admitted whose last failure is at least the base ban ago,
 * however much longer they are banned: the only server of a block must not be lost for minutes, and a dead one is not tried more often
 * than that. Among them the least banned is preferred. Excluded and busy peers are never admitted.
 *
 * Throws `RangeError` if the request's blocks are not a range or its tokens not a count.
 */
export const planRoute = (request: RouteRequest, knowledge: Knowledge): RoutePlan => {
  const { blocks, tokens } = request
  if (!(Number.isSafeInteger(blocks.from) && Number.isSafeInteger(blocks.to) && blocks.from < blocks.to)) {
    throw new RangeError(`Cannot route through blocks ${blocks.from}:${blocks.to}`)
  }
  if (!(tokens >= 0)) throw new RangeError(`Cannot route for ${tokens} tokens`)
  const { announcements, bans, now, costs, random } = knowledge
  for (const inNeed of [false, true]) {
    const { candidates, leftOut, bannedInNeed } = selectCandidates(announcements, request, bans, now, inNeed)
    if (request.goal === "throughput") {
      const hops = sampleChain(candidates, blocks, costs.unknownRate, random)
      if (hops !== undefined) return { _tag: "Route", hops, seconds: undefined, leftOut }
    } else {
      const chain = bestChain(candidates, request, knowledge)
      if (chain !== undefined) return { _tag: "Route", ...chain, leftOut }
    }
    if (!bannedInNeed) return { _tag: "NoRoute", missing: missingBlocks(candidates, blocks), leftOut }
  }
  throw new Error("A second selection admits everybody that the first one held back")
}
