/**
 * The asking half of discovery: questions to directories, and what is known from the answers.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import type { Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { DiscoveryError } from "../DiscoveryError.ts"
import type { Heard } from "../Heard.ts"
import type { PeerMemory } from "../peersFile.ts"
import { noRefusals, type Refusals } from "../Refusals.ts"
import { AnnouncementTable } from "./AnnouncementTable.ts"
import { ask } from "./ask.ts"
import { makeHear } from "./hear.ts"

/** Options of every discovery by addresses. */
export interface LookupOptions {
  /** Directories to ask: any servers of the swarm. */
  readonly addresses: ReadonlyArray<string>
  /** Model whose servers are wanted; "" for all. @default {""} */
  readonly model?: string
  /** While somebody reads `known`, it is renewed so often, in seconds. @default {10} */
  readonly refreshSeconds?: number
  /** How long a directory may take to answer, in seconds. @default {5} */
  readonly timeoutSeconds?: number
  /** Longer lifetimes are cut, in seconds. @default {600} */
  readonly maxTimeToLive?: number
  /** Peers that are remembered. @default {16384} */
  readonly maxEntries?: number
  /** Peers of earlier times: they are asked when none of the directories answers. @default {none} */
  readonly memory?: PeerMemory
}

/** @see makeLookup */
export interface Lookup {
  readonly known: () => ReadonlyArray<Announcement>
  readonly heard: () => ReadonlyArray<Heard>
  readonly refused: () => Refusals
  readonly refresh: Effect.Effect<void, DiscoveryError>
  /**
   * Addresses of servers of a model ("" = any) that stand in for directories that do not answer. Everybody who knows the same
   * servers chooses the same ones, so that those who announce and those who ask meet there.
   */
  readonly standIns: (model: string) => ReadonlyArray<string>
}

/** Servers that stand in. */
const STAND_INS = 3

/** Announcements that are checked in one go. */
const BETWEEN_YIELDS = 32

/** Servers that stand in when everything known has expired, and some may be gone. */
const LAST_STAND_INS = 16

/** Makes the asking half; its fiber ends with the scope. Nothing is sent before `refresh` or `known` is used. */
export const makeLookup = (network: Network, options: LookupOptions): Effect.Effect<Lookup, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { addresses, model = "", refreshSeconds = 10, timeoutSeconds = 5, maxTimeToLive = 600 } = options
    const clock = yield* Effect.clock
    const scope = yield* Effect.scope
    const now = (): number => clock.unsafeCurrentTimeMillis() / 1000
    const table = new AnnouncementTable(options.maxEntries ?? 16_384, maxTimeToLive)
    const refused = noRefusals()
    const hear = makeHear({ network, table, refused, model, maxTimeToLive, now })
    const live = (): ReadonlyArray<Announcement> =>
      table.live(now()).flatMap(({ announcement }) => (announcement.state === "offline" ? [] : [announcement]))
    /** Servers that were known when any were: who slept for long may find the swarm through them. */
    let acquainted: ReadonlyArray<Announcement> = []
    let wanted = false

    const isOnline = ({ state }: Announcement): boolean => state === "online"

    const standIns = (of: string): ReadonlyArray<string> => {
      const online = live().filter(isOnline)
      if (online.length > 0) acquainted = online
      return acquainted
        .filter((announcement) => of === "" || announcement.model === of)
        .sort((a, b) => (a.peer < b.peer ? -1 : 1))
        .slice(0, online.length > 0 ? STAND_INS : LAST_STAND_INS)
        .flatMap(({ addresses: [address] }) => address ?? [])
    }

    const askOne = (address: string) =>
      Effect.gen(function* () {
        const askedAt = now()
        const { peer, announcements } = yield* ask(network, address, model, timeoutSeconds)
        let spokeOfItself = false
        for (const [index, found] of announcements.entries()) {
          if (hear(found, { peer, address, askedAt })) spokeOfItself = true
          // signatures take time: others want the processor too
          if (index % BETWEEN_YIELDS === BETWEEN_YIELDS - 1) yield* Effect.yieldNow()
        }
        if (!spokeOfItself) table.expire(peer, now())
      })

    let remembered = ""
    const remember = (): void => {
      const all = acquainted.flatMap(({ addresses: [address] }) => address ?? []).sort()
      if (options.memory === undefined || all.length === 0 || all.join() === remembered) return
      remembered = all.join()
      options.memory.save(all)
    }

    const askAll = (all: ReadonlyArray<string>) =>
      Effect.forEach(all, (address) => Effect.either(askOne(address)), { concurrency: "unbounded" })

    const round = Effect.gen(function* () {
      const answers = yield* askAll(addresses)
      const failures = answers.filter(Either.isLeft).map(({ left }) => left)
      if (failures.length === 0 && addresses.length > 0) {
        acquainted = live().filter(isOnline)
        return remember()
      }
      yield* askAll(standIns(model).filter((address) => !addresses.includes(address)))
      if (live().length === 0 && failures.length === addresses.length && addresses.length > 0) {
        yield* askAll((options.memory?.load() ?? []).filter((address) => !addresses.includes(address)))
      }
      if (failures.length < addresses.length || live().length > 0) return
      return yield* new DiscoveryError({ addresses, detail: failures[0] ?? "no address is given" })
    })

    let running: Fiber.RuntimeFiber<void, DiscoveryError> | undefined
    const refresh = Effect.suspend(() => {
      if (running !== undefined && running.unsafePoll() === null) return Fiber.join(running)
      return Effect.flatMap(Effect.forkIn(round, scope), (fiber) => {
        running = fiber
        return Fiber.join(fiber)
      })
    })

    yield* Effect.forkScoped(
      Effect.forever(
        Effect.gen(function* () {
          yield* Effect.sleep(refreshSeconds * 1000)
          if (!wanted) return
          wanted = false
          yield* Effect.ignore(refresh)
        })
      )
    )

    return {
      known: () => {
        wanted = true
        return live()
      },
      heard: () => table.live(now()),
      refused: () => ({ ...refused }),
      refresh,
      standIns
    }
  })
