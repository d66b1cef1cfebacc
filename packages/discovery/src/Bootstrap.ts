/**
 * Discovery through directories: any servers of the swarm, which pass on what others announce to them.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import { Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberHandle from "effect/FiberHandle"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Discovery, type Service } from "./Discovery.ts"
import { tell } from "./internal/ask.ts"
import type { LookupOptions } from "./internal/lookup.ts"
import { makeLookup } from "./internal/lookup.ts"
import { type Signed, signAnnouncement } from "./sign.ts"

/** @see makeBootstrap */
export interface BootstrapOptions extends LookupOptions {
  /** Time between two announcements to a directory that takes them, in seconds. @default {timeToLive / 3} */
  readonly announceEverySeconds?: number
}

/** Where one directory stands. */
interface Progress {
  /** Failures since it last took an announcement. */
  failures: number
  /** When to tell it next, in seconds of the clock. */
  nextAt: number
}

/** First wait after a failure, in seconds; doubled by each further one, up to the time between announcements. */
const FIRST_RETRY_SECONDS = 0.5

/** Announcements are never closer than this, in seconds, whatever the options say. */
const LEAST_WAIT_SECONDS = 0.05

/**
 * Announces to the directories at `addresses` and asks them what they know. The first server of a swarm has no addresses.
 *
 * Announcements are spread by ±10 %; retries after failures by a factor of ½ to 1. While a directory does not answer, three servers
 * of the swarm stand in for it (those of the least peer ids: everybody chooses the same), so that a swarm outlives its first server.
 * Scoped: background fibers announce, and renew what is known while somebody reads it or this server announces.
 */
export const makeBootstrap = (
  network: Network,
  options: BootstrapOptions
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const lookup = yield* makeLookup(network, options)
    const { addresses, timeoutSeconds = 5 } = options
    const clock = yield* Effect.clock
    const now = (): number => clock.unsafeCurrentTimeMillis() / 1000
    const renewal = yield* FiberHandle.make<void>()
    const inOrder = yield* Effect.makeSemaphore(1)
    const progress = new Map<string, Progress>()
    let current: Announcement | undefined

    const progressOf = (address: string): Progress => {
      const known = progress.get(address)
      if (known !== undefined) return known
      const fresh = { failures: 0, nextAt: 0 }
      progress.set(address, fresh)
      return fresh
    }

    /** The given directories, and stand-ins while one of them fails. Forgets stand-ins that are no longer such. */
    const targets = (model: string): ReadonlyArray<string> => {
      const isFailing = addresses.some((address) => progressOf(address).failures > 0)
      // Reading what is known keeps it fresh: stand-ins are chosen from it when the directory is gone
      const known = lookup.known()
      const standIns = isFailing && known.length > 0 ? lookup.standIns(model) : []
      const all = [...new Set([...addresses, ...standIns])]
      for (const address of progress.keys()) if (!all.includes(address)) progress.delete(address)
      return all
    }

    const signed = (announcement: Announcement): Effect.Effect<Signed, string> =>
      Effect.try({
        try: () => signAnnouncement(network, announcement, clock.unsafeCurrentTimeMillis()),
        catch: (cause) => (cause instanceof Error ? cause.message : String(cause))
      })

    const tellOne = (address: string, announcement: Announcement) =>
      Effect.gen(function* () {
        const told = yield* Effect.either(
          Effect.flatMap(signed(announcement), ({ record }) => tell(network, address, record, timeoutSeconds))
        )
        const state = progressOf(address)
        const every = options.announceEverySeconds ?? announcement.timeToLive / 3
        if (Either.isRight(told)) {
          state.failures = 0
          state.nextAt = now() + every * (yield* Random.nextRange(0.9, 1.1))
          return
        }
        state.failures++
        const wait = Math.min(every, FIRST_RETRY_SECONDS * 2 ** (state.failures - 1))
        state.nextAt = now() + wait * (yield* Random.nextRange(0.5, 1))
        yield* Effect.logDebug(`Cannot announce at "${address}": ${told.left}`)
      })

    /** Tells every directory that is due; then, if one fails, those that stand in. */
    const tellDue = (announcement: Announcement, due: (progress: Progress) => boolean) =>
      Effect.gen(function* () {
        const told = new Set<string>()
        for (let pass = 0; pass < 2; pass++) {
          const open = targets(announcement.model).filter((address) => !told.has(address) && due(progressOf(address)))
          yield* Effect.forEach(open, (address) => tellOne(address, announcement), {
            concurrency: "unbounded",
            discard: true
          })
          for (const address of open) told.add(address)
        }
      })

    const renew = (announcement: Announcement) =>
      Effect.forever(
        Effect.gen(function* () {
          const every = options.announceEverySeconds ?? announcement.timeToLive / 3
          const nextAt = Math.min(
            now() + every,
            ...targets(announcement.model).map((address) => progressOf(address).nextAt)
          )
          yield* Effect.sleep(1000 * Math.max(LEAST_WAIT_SECONDS, nextAt - now()))
          yield* tellDue(announcement, (progress) => progress.nextAt <= now())
        })
      )

    const announce = (announcement: Announcement): Effect.Effect<void> =>
      inOrder.withPermits(1)(
        Effect.gen(function* () {
          yield* FiberHandle.clear(renewal)
          current = announcement
          yield* tellDue(announcement, () => true)
          yield* FiberHandle.run(renewal, renew(announcement))
        })
      )

    const withdraw = inOrder.withPermits(1)(
      Effect.gen(function* () {
        yield* FiberHandle.clear(renewal)
        const last = current
        current = undefined
        if (last !== undefined) yield* tellDue({ ...last, state: "offline" }, () => true)
      })
    )

    const { standIns: _, ...asking } = lookup
    return { announce, withdraw, ...asking }
  })

/**
 * {@link makeBootstrap} as a layer.
 *
 * @example A client that finds the swarm through two of its servers
 * ```ts
 * import { Discovery, layerBootstrap } from "@swarm/discovery"
 * import { layerNetwork, layerWebSocket } from "@swarm/transport"
 * import { Effect, Layer } from "effect"
 *
 * const discovery = layerBootstrap({ addresses: ["ws://127.0.0.1:1", "ws://127.0.0.1:2"] }).pipe(
 *   Layer.provide(layerNetwork({ software: "example" })),
 *   Layer.provide(layerWebSocket())
 * )
 * const program = Effect.flatMap(Discovery, ({ refresh }) => Effect.flip(refresh))
 * const error = await Effect.runPromise(Effect.provide(program, discovery))
 * console.log(error._tag, error.addresses.length) // => DiscoveryError 2
 * ```
 */
export const layerBootstrap = (options: BootstrapOptions): Layer.Layer<Discovery, never, Network> =>
  Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (network) => makeBootstrap(network, options))
  )
