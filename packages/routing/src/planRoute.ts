/**
 * One decision of the router, as a pure function.
 * @module
 */
import type { Announcement, BlockRange } from "@swarm/protocol"
import { chainSeconds, keepChain } from "./affinity.ts"
import type { Bans } from "./bans.ts"
import type { Costs } from "./Costs.ts"
import { rateOr } from "./Costs.ts"
import type { Candidate } from "./candidates.ts"
import { preference, selectCandidates } from "./candidates.ts"
import { missingBlocks, reachesEnd } from "./coverage.ts"
import type { Chain } from "./graph.ts"
import { buildGraph, shortestChain } from "./graph.ts"
import type { LeftOut, RouteRequest } from "./Router.ts"
import type { RoundTrips, Weighing } from "./weights.ts"

/** What the router knows whatever is announced. Its maps and lists are read as they are at the time. */
export interface PlannerKnowledge {
  readonly bans: Bans
  readonly trips: RoundTrips
  readonly costs: Costs
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** How many times slower than it says a peer is. @default 1 for all */
  readonly slowdownOf?: (peer: string) => number
}

/** What the router knows at the moment of a request. */
export interface Knowledge extends PlannerKnowledge {
  readonly announcements: Iterable<Announcement>
  /** Seconds of the clock that `bans` was told. */
  readonly now: number
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
 * Draws a chain: at each boundary one of the servers from which the end can be reached, with a probability in
 * proportion to its rate, so that the work of many requests is shared by speed. A server is used to its end. Undefined
 * if there is no chain.
 */
export const sampleChain = (
  candidates: ReadonlyArray<Candidate>,
  blocks: BlockRange,
  unknownRate: number,
  random: () => number,
  partial = false
): ReadonlyArray<Candidate> | undefined => {
  const toEnd = reachesEnd(candidates, blocks, partial)
  const hops: Array<Candidate> = []
  for (let block = blocks.from; block < blocks.to; ) {
    const open = candidates.filter(({ blocks: { from, to } }) => {
      return (partial ? from <= block && block < to : from === block) && toEnd.has(to)
    })
    const drawn = draw(
      open,
      ({ prefillRate, hasRoom, banSeconds, slowdown }) => {
        const rate = rateOr(prefillRate, unknownRate) / slowdown
        return rate * (hasRoom && banSeconds === 0 ? 1 : LAST_RESORT)
      },
      random
    )
    if (drawn === undefined) return undefined
    hops.push({ ...drawn, blocks: { from: block, to: drawn.blocks.to } })
    block = drawn.blocks.to
  }
  return hops
}

/** Throws `RangeError` if the request's blocks are not a range or its tokens not a count. */
export const checkRequest = ({ blocks, tokens }: RouteRequest): void => {
  if (!(Number.isSafeInteger(blocks.from) && Number.isSafeInteger(blocks.to) && blocks.from < blocks.to)) {
    throw new RangeError(`Cannot route through blocks ${blocks.from}:${blocks.to}`)
  }
  if (!(tokens >= 0)) throw new RangeError(`Cannot route for ${tokens} tokens`)
}

/**
 * The best of the candidates that continue a lost hop to the bit: those that serve exactly its blocks, with its digest.
 */
export const exactChain = (
  candidates: Iterable<Candidate>,
  { blocks, digest }: RouteRequest,
  weighing: Weighing
): Chain | undefined => {
  if (digest === undefined || digest === "") return undefined
  let best: { readonly candidate: Candidate; readonly seconds: number } | undefined
  for (const candidate of candidates) {
    const { from, to } = candidate.blocks
    if (candidate.digest !== digest || from !== blocks.from || to !== blocks.to) continue
    const seconds = chainSeconds([candidate], weighing)
    const isBetter =
      best === undefined ||
      seconds < best.seconds ||
      (seconds === best.seconds && preference(candidate, best.candidate) < 0)
    if (isBetter) best = { candidate, seconds }
  }
  return best === undefined ? undefined : { hops: [best.candidate], seconds: best.seconds }
}

/**
 * Plans the chain for `request`, from scratch.
 *
 * Banned peers are left out. If no chain is left, those are admitted whose last failure is at least the base ban ago,
 * however much longer they are banned: the only server of a block must not be lost for minutes, and a dead one is not
 * tried more often than that. Among them the least banned is preferred. Excluded and busy peers are never admitted.
 *
 * Throws `RangeError` if the request's blocks are not a range or its tokens not a count.
 */
export const planRoute = (request: RouteRequest, knowledge: Knowledge): RoutePlan => {
  checkRequest(request)
  const { blocks, partial = false, previous } = request
  const { announcements, bans, now, costs, random, trips, slowdownOf } = knowledge
  const weighing = { trips, costs, bytes: request.bytes ?? 0 }
  for (const inNeed of [false, true]) {
    const { candidates, leftOut, bannedInNeed } = selectCandidates(
      announcements,
      request,
      bans,
      now,
      inNeed,
      slowdownOf
    )
    if (request.goal === "throughput") {
      const hops = sampleChain(candidates, blocks, costs.unknownRate, random, partial)
      if (hops !== undefined) return { _tag: "Route", hops, seconds: undefined, leftOut }
    } else {
      const chain =
        exactChain(candidates, request, weighing) ?? shortestChain(buildGraph(candidates, blocks, weighing, partial))
      if (chain !== undefined) {
        const kept = previous === undefined ? chain : keepChain(previous, candidates, chain, weighing, partial)
        return { _tag: "Route", ...kept, leftOut }
      }
    }
    if (!bannedInNeed) return { _tag: "NoRoute", missing: missingBlocks(candidates, blocks, partial), leftOut }
  }
  throw new Error("A second selection admits everybody that the first one held back")
}
