/**
 * Discovery through a table that the peers keep among themselves: a distributed hash table.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import { Network } from "@swarm/transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Discovery, type Service } from "./Discovery.ts"
import { DiscoveryError } from "./DiscoveryError.ts"
import { AnnouncementTable } from "./internal/AnnouncementTable.ts"
import { makeHear } from "./internal/hear.ts"
import { noRefusals } from "./Refusals.ts"
import { signAnnouncement } from "./sign.ts"

/** A table as discovery needs it. It need not be honest: what it gives is checked. */
export interface RecordTable {
  /** Stores what this peer says of itself under its id, and that it serves the model. Rejects if nobody took it. */
  readonly put: (model: string, peer: string, record: Uint8Array) => Promise<void>
  /** What is stored of peers that are said to serve the model. Rejects if the table cannot be asked. */
  readonly find: (model: string) => Promise<ReadonlyArray<Uint8Array>>
}

/** @see makeTable */
export interface TableOptions {
  /** The model whose servers are wanted: the table is asked for one at a time. */
  readonly model: string
  /** While somebody reads `known` or `heard`, the table is asked so often, in seconds. @default 15 */
  readonly refreshSeconds?: number
  /** A server is stored so often, in seconds; it lives three times as long. @default 30 */
  readonly storeSeconds?: number
  /** Peers that are remembered; more are refused. @default 4096 */
  readonly maxEntries?: number
  /** Records that are looked at in one answer; the rest waits for the next one. @default 16384 */
  readonly maxRecords?: number
  /** `announce` and `refresh` wait so long for the table, in seconds; what comes later counts too. @default 3 */
  readonly patienceSeconds?: number
}

/** First wait after a store that failed, in seconds; doubled by each further one, up to `storeSeconds`. */
const FIRST_RETRY_SECONDS = 1

/** Lives that a stored announcement has: so many stores may fail. */
const LIVES = 3

/**
 * Discovery over a table of signed records.
 *
 * Nobody says how old a record is, so one lives from the moment in which it is first seen; who vanished is listed for up to five minutes to those
 * who come later, and found out at the first dial. Every record is checked: junk costs its check, is counted, and changes nothing.
 * Scoped: background fibers store and ask.
 */
export const makeTable = (
  network: Network,
  table: RecordTable,
  options: TableOptions
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { model, refreshSeconds = 15, storeSeconds = 30, maxEntries = 4096, maxRecords = 16_384 } = options
    const patience = (options.patienceSeconds ?? 3) * 1000
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const now = (): number => clock.unsafeCurrentTimeMillis() / 1000
    const maxTimeToLive = LIVES * storeSeconds
    const entries = new AnnouncementTable(maxEntries, maxTimeToLive)
    const refused = noRefusals()
    const hear = makeHear({ network, table: entries, refused, model, maxTimeToLive, now })
    const storing = yield* FiberHandle.make<void>()
    let current: Announcement | undefined
    let isWanted = false

    const live = (): ReadonlyArray<Announcement> =>
      entries.live(now()).flatMap(({ announcement }) => (announcement.state === "offline" ? [] : [announcement]))

    const store = (announcement: Announcement): Effect.Effect<boolean> =>
      Effect.tryPromise({
        try: () => {
          const { record } = signAnnouncement(
            network,
            { ...announcement, timeToLive: maxTimeToLive },
            clock.unsafeCurrentTimeMillis()
          )
          return table.put(announcement.model, network.self, record)
        },
        catch: textOf
      }).pipe(
        Effect.as(true),
        Effect.catchAll((why) => Effect.as(Effect.logDebug(`Cannot store the announcement: ${why}`), false))
      )

    /** Stores it now and again, sooner after a failure; `first` is settled by the first attempt. */
    const keepStored = (first: Deferred.Deferred<void>) =>
      Effect.gen(function* () {
        for (let failures = 0; current !== undefined; ) {
          failures = (yield* store(current)) ? 0 : failures + 1
          yield* Deferred.succeed(first, undefined)
          const retry = FIRST_RETRY_SECONDS * 2 ** (failures - 1)
          yield* Effect.sleep(1000 * (failures === 0 ? storeSeconds : Math.min(storeSeconds, retry)))
        }
      })

    const ask = Effect.gen(function* () {
      const askedAt = now()
      const records = yield* Effect.tryPromise({ try: () => table.find(model), catch: textOf })
      for (const [index, record] of records.slice(0, maxRecords).entries()) {
        hear({ record, age: 0 }, { askedAt })
        // signatures take time: others want the processor too
        if (index % 32 === 31) yield* Effect.yieldNow()
      }
    })

    const refresh = Effect.forkIn(ask, scope).pipe(
      Effect.flatMap(Fiber.join),
      Effect.timeoutFail({ duration: patience, onTimeout: () => "no answer in time" }),
      Effect.catchAll((detail) =>
        live().length > 0 ? Effect.void : Effect.fail(new DiscoveryError({ addresses: ["the table"], detail }))
      )
    )

    yield* Effect.forkScoped(
      Effect.forever(
        Effect.gen(function* () {
          yield* Effect.sleep(refreshSeconds * 1000)
          if (!isWanted) return
          isWanted = false
          yield* Effect.ignore(refresh)
        })
      )
    )

    return {
      announce: (announcement) =>
        Effect.gen(function* () {
          const last = current
          current = announcement
          // rates and free memory change often: the table gets them with the next store
          if (last !== undefined && isAlike(last, announcement)) return
          const first = yield* Deferred.make<void>()
          yield* FiberHandle.run(storing, keepStored(first))
          yield* Effect.ignore(Effect.timeout(Deferred.await(first), patience))
        }),
      withdraw: Effect.gen(function* () {
        yield* FiberHandle.clear(storing)
        const last = current
        current = undefined
        if (last !== undefined) yield* store({ ...last, state: "offline" })
      }),
      known: () => {
        isWanted = true
        return live()
      },
      heard: () => {
        isWanted = true
        return entries.live(now())
      },
      refused: () => ({ ...refused }),
      refresh
    }
  })

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Whether others would route in the same way. */
const isAlike = (a: Announcement, b: Announcement): boolean =>
  a.state === b.state && a.model === b.model && a.blocks.from === b.blocks.from && a.blocks.to === b.blocks.to

/** {@link makeTable} as a layer. */
export const layerTable = (table: RecordTable, options: TableOptions): Layer.Layer<Discovery, never, Network> =>
  Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (network) => makeTable(network, table, options))
  )
