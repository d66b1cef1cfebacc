/**
 * The router over announcements.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { BanOptions } from "./bans.ts"
import { makeBans } from "./bans.ts"
import type { Costs } from "./Costs.ts"
import { defaultCosts } from "./Costs.ts"
import type { Candidate } from "./candidates.ts"
import type { Demotion, DemotionOptions } from "./demotions.ts"
import { makeDemotions } from "./demotions.ts"
import type { PingOptions } from "./pings.ts"
import { makePings } from "./pings.ts"
import type { RoutePlan } from "./planRoute.ts"
import { makeRoutePlanner } from "./RoutePlanner.ts"
import type { LeftOut, Outcome, RouteRequest, Service } from "./Router.ts"
import { NoRoute, Router } from "./Router.ts"
import { blockCost } from "./weights.ts"

/** @see layer */
export interface Options<R = never> extends BanOptions {
  /** Where announcements come from: with discovery, `Effect.map(Discovery, (discovery) => discovery.known)`. */
  readonly known: Effect.Effect<() => Iterable<Announcement>, never, R>
  /** Weights that differ from the default ones. */
  readonly costs?: Partial<Costs>
  readonly pings?: PingOptions
  readonly demotions?: DemotionOptions
  /** Called when a peer is demoted for being slow, with the reason, and when it is restored (undefined). */
  readonly onDemotion?: (peer: string, demotion: Demotion | undefined) => void
  /** Uniform in [0, 1), for `goal: "throughput"`. @default {Math.random} */
  readonly random?: () => number
}

/** Reasons given with `NoRoute`. */
const MAX_REASONS = 32

/** Peers whose promised time is remembered. */
const MAX_PROMISES = 16384

/** Those that come back first, then those that do not. */
const firstReasons = (leftOut: ReadonlyArray<LeftOut>): ReadonlyArray<LeftOut> =>
  leftOut.toSorted((a, b) => (a.seconds || Number.MAX_VALUE) - (b.seconds || Number.MAX_VALUE)).slice(0, MAX_REASONS)

/**
 * Makes a router. The first `route` of a kind builds the graph, O(n log n) in the announcements of the model; later
 * ones take in what changed.
 */
export const make = <R = never>(options: Options<R>): Effect.Effect<Service, never, R> =>
  Effect.gen(function* () {
    const known = yield* options.known
    const costs: Costs = { ...defaultCosts, ...options.costs }
    const bans = makeBans(options)
    const pings = makePings(options.pings)
    // bytes per second, smoothed and forgotten as round trips are
    const lines = makePings(options.pings)
    const trips = { client: pings.roundTrips, bandwidth: lines.roundTrips }
    const demotions = makeDemotions(options.demotions)
    const promised = new Map<string, number>()
    let clock = 0
    const planner = makeRoutePlanner({
      bans,
      trips,
      costs,
      random: options.random ?? Math.random,
      slowdownOf: (peer) => demotions.of(peer, clock)?.slowdown ?? 1
    })

    /** What a peer says that a token takes, its queue as it was announced. */
    const notePromise = (candidate: Candidate): void => {
      const { from, to } = candidate.blocks
      const said = blockCost({ ...candidate, slowdown: 1 }, { trips, costs })
      promised.delete(candidate.peer)
      promised.set(candidate.peer, ((to - from) * said) / 1e9)
      if (promised.size > MAX_PROMISES) for (const oldest of [...promised.keys()].slice(0, 1)) promised.delete(oldest)
    }

    const note = (peer: string, outcome: Outcome, now: number): void => {
      clock = now
      if (outcome._tag === "Step") {
        if (demotions.note(peer, outcome.seconds, promised.get(peer) ?? 0, now)) {
          options.onDemotion?.(peer, demotions.of(peer, now))
        }
      } else if (outcome._tag === "Ok") bans.ok(peer)
      else if (outcome._tag === "Failed") bans.failed(peer, outcome.detail, now)
      else if (outcome._tag === "Busy") bans.busy(peer, outcome.retryAfter, now)
      else if (outcome._tag === "Bandwidth") lines.note(peer, outcome.bytesPerSecond, now)
      else pings.note(peer, outcome.seconds, now)
      planner.changed(peer)
    }

    const plan = (request: RouteRequest, now: number): RoutePlan => {
      clock = now
      for (const peer of [...pings.expire(now), ...lines.expire(now)]) planner.changed(peer)
      for (const peer of demotions.retry(now)) {
        planner.changed(peer)
        options.onDemotion?.(peer, undefined)
      }
      return planner.plan(request, known(), now)
    }

    const seconds = Effect.map(Clock.currentTimeMillis, (milliseconds) => milliseconds / 1000)

    return {
      route: (request: RouteRequest) =>
        Effect.flatMap(seconds, (now) => {
          const planned = plan(request, now)
          if (planned._tag === "Route") {
            for (const hop of planned.hops) notePromise(hop)
            return Effect.succeed(
              planned.hops.map(({ peer, address, blocks, digest }) => ({ peer, address, blocks, digest }))
            )
          }
          const { missing, leftOut } = planned
          return Effect.fail(new NoRoute({ model: request.model, missing, banned: firstReasons(leftOut) }))
        }),
      report: (peer: string, outcome: Outcome) => Effect.map(seconds, (now) => note(peer, outcome, now))
    }
  })

/**
 * The router as a layer.
 *
 * @example A chain through two servers
 * ```ts
 * import type { Announcement } from "@swarm/protocol"
 * import * as Routing from "@swarm/routing"
 * import { Effect } from "effect"
 *
 * const server = (peer: string, from: number, to: number): Announcement => ({
 *   peer,
 *   addresses: [`ws://10.0.0.${to}:4000`],
 *   model: "digest-of-the-model",
 *   modelName: "demo",
 *   modelBlocks: 8,
 *   blocks: { from, to },
 *   state: "online",
 *   decodeRate: 1000,
 *   prefillRate: 20000,
 *   digest: "",
 *   freeTokens: 4096,
 *   maxTokens: 4096,
 *   sessions: 0,
 *   queue: 0,
 *   version: "0.1.0",
 *   timeToLive: 30
 * })
 * const servers = [server("a", 0, 4), server("b", 4, 8), server("c", 0, 2)]
 *
 * const program = Effect.gen(function* () {
 *   const router = yield* Routing.Router
 *   const hops = yield* router.route({ model: "digest-of-the-model", blocks: { from: 0, to: 8 }, tokens: 512 })
 *   console.log(hops.map((hop) => hop.peer)) // => [ 'a', 'b' ]
 *   yield* router.report("b", { _tag: "Failed", detail: "the channel closed" })
 *   const error = yield* Effect.flip(router.route({ model: "digest-of-the-model", blocks: { from: 4, to: 8 }, tokens: 512 }))
 *   console.log(error.message) // => No server for blocks 4:8 (left out: b failed: the channel closed)
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Routing.layer({ known: Effect.succeed(() => servers) }))))
 * ```
 */
export const layer = <R = never>(options: Options<R>): Layer.Layer<Router, never, R> =>
  Layer.effect(Router, make(options))
