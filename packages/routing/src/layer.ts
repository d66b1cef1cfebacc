/**
 * The router by Dijkstra's algorithm over announcements.
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
import { planRoute } from "./planRoute.ts"
import type { LeftOut, Outcome, RouteRequest, Service } from "./Router.ts"
import { NoRoute, Router } from "./Router.ts"

/** @see layer */
export interface Options<R = never> extends BanOptions {
  /** Where announcements come from: with discovery, `Effect.map(Discovery, (discovery) => discovery.known)`. */
  readonly known: Effect.Effect<() => Iterable<Announcement>, never, R>
  /** Weights that differ from the default ones. */
  readonly costs?: Partial<Costs>
  /** Uniform in [0, 1), for `goal: "throughput"`. @default {Math.random} */
  readonly random?: () => number
}

/** Round trips remembered; the oldest are forgotten. */
const MAX_ROUND_TRIPS = 16384

/** Reasons given with `NoRoute`. */
const MAX_REASONS = 32

/** Those that come back first, then those that do not. */
const firstReasons = (leftOut: ReadonlyArray<LeftOut>): ReadonlyArray<LeftOut> =>
  leftOut.toSorted((a, b) => (a.seconds || Number.MAX_VALUE) - (b.seconds || Number.MAX_VALUE)).slice(0, MAX_REASONS)

/**
 * Makes a router. `route` builds the graph anew from what is known at that moment: O(n log n) in the announcements of the model.
 */
export const make = <R = never>(options: Options<R>): Effect.Effect<Service, never, R> =>
  Effect.gen(function* () {
    const known = yield* options.known
    const costs: Costs = { ...defaultCosts, ...options.costs }
    const random = options.random ?? Math.random
    const bans = makeBans(options)
    const client = new Map<string, number>()

    const noteRoundTrip = (peer: string, seconds: number): void => {
      if (!(seconds >= 0)) return
      client.delete(peer)
      client.set(peer, seconds)
      if (client.size <= MAX_ROUND_TRIPS) return
      for (const oldest of client.keys()) {
        client.delete(oldest)
        return
      }
    }

    const note = (peer: string, outcome: Outcome, now: number): void => {
      if (outcome._tag === "Ok") bans.ok(peer)
      else if (outcome._tag === "Failed") bans.failed(peer, outcome.detail, now)
      else if (outcome._tag === "Busy") bans.busy(peer, outcome.retryAfter, now)
      else noteRoundTrip(peer, outcome.seconds)
    }

    const seconds = Effect.map(Clock.currentTimeMillis, (milliseconds) => milliseconds / 1000)

    return {
      route: (request: RouteRequest) =>
        Effect.flatMap(seconds, (now) => {
          const plan = planRoute(request, { announcements: known(), bans, trips: { client }, costs, now, random })
          if (plan._tag === "Route") {
            return Effect.succeed(
              plan.hops.map(({ peer, address, blocks, digest }) => ({ peer, address, blocks, digest }))
            )
          }
          const { missing, leftOut } = plan
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
