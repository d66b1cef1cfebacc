/**
 * Who is gone before its announcement has expired: a connection that closes and cannot be made again tells.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import type { Connection, Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Directory } from "./Directory.ts"
import type { Heard } from "./Heard.ts"

/** @see makeWatch */
export interface WatchOptions {
  /** Who is there as far as others say. Called at each look. */
  readonly heard: () => ReadonlyArray<Heard>
  /** Peers to which connections are kept; of more, those that were heard of first. @default 32 */
  readonly most?: number
  /** Time between two looks at the connections, in seconds. @default 1 */
  readonly everySeconds?: number
  /** A peer that does not answer for so long is dialled anew, in seconds. @default 5 */
  readonly silentSeconds?: number
  /** A dial may take so long, in seconds. @default 3 */
  readonly timeoutSeconds?: number
}

/** What a watch has seen. */
export interface Watch {
  /** Whether the peer could be reached from here once, and cannot be any more. Something newer that it says takes this back. */
  readonly isLost: (heard: Pick<Heard, "announcement" | "issuedAt">) => boolean
}

/** Dials at once. */
const AT_ONCE = 8
/** Peers that are tried at a look; in larger swarms the word of others has to do for the rest. */
const MAX_TRIED = 64

/**
 * Keeps a connection to some servers that are online, pings them, and knows at once who ends without a goodbye. Who was never reached from here
 * is not called lost: others may reach it. Connections are the network's, shared with whoever uses them. Ends with the scope.
 */
export const makeWatch = (network: Network, options: WatchOptions): Effect.Effect<Watch, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { most = 32, everySeconds = 1, silentSeconds = 5, timeoutSeconds = 3 } = options
    /** By peer: the connection over which it was reached last. */
    const reached = new Map<string, Connection>()
    /** By peer: when it made what turned out to be over. */
    const lost = new Map<string, number>()
    const isLost: Watch["isLost"] = ({ announcement, issuedAt }) => issuedAt <= (lost.get(announcement.peer) ?? -1)

    const check = (heard: Heard) =>
      Effect.gen(function* () {
        const { peer } = heard.announcement
        const connection = yield* Effect.option(dial(network, heard.announcement, timeoutSeconds))
        if (connection._tag === "Some") {
          reached.set(peer, connection.value)
          lost.delete(peer)
        } else if (reached.has(peer)) lost.set(peer, heard.issuedAt)
      })

    const look = Effect.suspend(() => {
      const online = options.heard().filter(({ announcement }) => announcement.state === "online")
      const there = new Set(online.map(({ announcement }) => announcement.peer))
      for (const peer of reached.keys()) if (!there.has(peer)) reached.delete(peer)
      for (const peer of lost.keys()) if (!there.has(peer)) lost.delete(peer)
      const room = most - reached.size
      const fresh = online.filter(({ announcement }) => !reached.has(announcement.peer)).slice(0, Math.max(0, room))
      const closed = online.filter(
        (heard) => reached.get(heard.announcement.peer)?.isClosed() === true && !isLost(heard)
      )
      return Effect.forEach([...closed, ...fresh], check, { concurrency: AT_ONCE, discard: true })
    })

    const ping = Effect.suspend(() => {
      const open = [...reached.values()].filter((connection) => !connection.isClosed())
      return Effect.forEach(
        open,
        (connection) =>
          Effect.ignore(
            Effect.tryPromise(() =>
              connection.ping(silentSeconds).catch(() => connection.close("it has not answered for too long"))
            )
          ),
        { concurrency: "unbounded", discard: true }
      )
    })

    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(1000 * everySeconds), look)))
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(1000 * silentSeconds), ping)))
    return { isLost }
  })

/**
 * A directory that leaves out whom it sees end. `learned`: what discovery heard from others, if it tells. `model`: whose servers are watched, "" for
 * all. Ends with the scope.
 */
export const watchedDirectory = (
  network: Network,
  learned: (() => ReadonlyArray<Heard>) | undefined,
  model: string
): Effect.Effect<Directory, never, Scope.Scope> =>
  Effect.gen(function* () {
    const watch = yield* makeWatch(network, { heard: () => directory.heard(model) })
    const directory: Directory = new Directory(network, {
      isLost: watch.isLost,
      ...(learned === undefined ? {} : { learned })
    })
    return directory
  })

/**
 * Those of `announcements` that can be reached from here now, in order. Some are believed: those that are `joining`, since they do not listen yet,
 * and all after the first 64.
 */
export const reachable = (
  network: Network,
  announcements: ReadonlyArray<Announcement>,
  timeoutSeconds = 3
): Effect.Effect<ReadonlyArray<Announcement>> =>
  Effect.filter(
    announcements,
    (announcement, index) =>
      index >= MAX_TRIED || announcement.state === "joining"
        ? Effect.succeed(true)
        : Effect.isSuccess(dial(network, announcement, timeoutSeconds)),
    { concurrency: AT_ONCE }
  )

const dial = (network: Network, { peer, addresses }: Announcement, timeoutSeconds: number) =>
  Effect.firstSuccessOf(addresses.map((address) => network.connect(address, peer))).pipe(
    Effect.timeout(1000 * timeoutSeconds)
  )
