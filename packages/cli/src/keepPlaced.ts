/**
 * Keeps a server of `--blocks auto` where the swarm needs it: it moves without breaking a generation.
 * @module
 */
import { makeRecheck } from "@swarm/balancer"
import type { BlockRange } from "@swarm/protocol"
import type { Server } from "@swarm/server"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** @see keepPlaced */
interface KeepOptions<E, R> {
  /** Loads and serves a range, or what it chooses itself (undefined); on the `turn`-th address. What it opens ends with the scope. */
  readonly start: (range: BlockRange | undefined, turn: number) => Effect.Effect<Server, E, R | Scope.Scope>
  /** The range to move to; undefined: stay. Looks at the swarm anew. */
  readonly wish: (server: Server) => Effect.Effect<BlockRange | undefined>
  /** Whether nobody serves some blocks, by what is known now: called every second. */
  readonly isBroken: (server: Server) => boolean
  /** Peers that hold the very range or are about to, by a new look at the swarm. */
  readonly holders: (server: Server, range: BlockRange) => Effect.Effect<ReadonlyArray<string>>
  /** Mean time between two looks, in seconds. */
  readonly meanSeconds: number
  readonly onMoved: (from: Server, to: Server) => void
  /** A move did not succeed; the server goes on as before. */
  readonly onFailed: (range: BlockRange, cause: unknown) => void
}

/** A server that may be another one later. */
interface Kept {
  readonly current: () => Server
}

/** Mean wait of a server that sees blocks without a server, before it looks whether to take them; doubled while it is of no use. */
const URGENT_SECONDS = 1
const MOST_DOUBLINGS = 4

const seconds = (): number => performance.now() / 1000

/**
 * Starts a server and looks, at random times, whether it should serve other blocks; within seconds when some are without a server. A move loads and announces the new ones first; then the
 * old server drains: its sessions go over to replicas, which are fed what it had seen, and its memory is freed. For that time both are
 * loaded. Looks and moves end with the scope.
 */
export const keepPlaced = <E, R>(options: KeepOptions<E, R>): Effect.Effect<Kept, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const begin = (range: BlockRange | undefined, turn: number) =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(outer, { _tag: "Sequential" })
        const server = yield* options.start(range, turn).pipe(
          Scope.extend(scope),
          Effect.tapErrorCause((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        return { server, scope }
      })
    const { meanSeconds } = options
    const guard = makeRecheck({ meanSeconds, confirmSeconds: meanSeconds / 3, restSeconds: 5 * meanSeconds })
    let kept = yield* begin(undefined, 0)
    let turn = 0

    const move = (range: BlockRange) =>
      Effect.gen(function* () {
        const old = kept
        const before = yield* options.holders(old.server, range)
        const next = yield* begin(range, ++turn)
        const rivals = yield* options.holders(next.server, range)
        // two that set out at the same time would leave their old blocks to nobody: the one of the greater id turns back
        if (rivals.some((peer) => !before.includes(peer) && peer !== old.server.peer && peer < next.server.peer)) {
          return yield* Scope.close(next.scope, Exit.void)
        }
        kept = next
        options.onMoved(old.server, next.server)
        yield* old.server.drain
        yield* Scope.close(old.scope, Exit.void)
      }).pipe(
        Effect.catchAll((cause) => Effect.sync(() => options.onFailed(range, cause))),
        Effect.ensuring(Effect.sync(() => guard.moved(seconds())))
      )

    /** Waits, a little only if blocks are without a server or come to be so. True: they are. */
    const pause = (waitSeconds: number, futile: number) =>
      Effect.gen(function* () {
        const until = seconds() + waitSeconds
        while (seconds() < until && !options.isBroken(kept.server)) yield* Effect.sleep("1 second")
        if (!options.isBroken(kept.server)) return false
        const mean = URGENT_SECONDS * 2 ** Math.min(futile, MOST_DOUBLINGS)
        yield* Effect.sleep(1000 * mean * (0.5 + Math.random()))
        return true
      })

    const look = (waitSeconds: number, futile: number): Effect.Effect<never, never, R> =>
      Effect.gen(function* () {
        const isUrgent = yield* pause(waitSeconds, futile)
        const wish = yield* options.wish(kept.server)
        const verdict = guard.wish(wish, seconds(), isUrgent)
        if (verdict.move !== undefined) yield* move(verdict.move)
        return yield* look(verdict.waitSeconds, isUrgent && wish === undefined ? futile + 1 : 0)
      })
    yield* Effect.forkScoped(look(guard.first(), 0))
    return { current: () => kept.server }
  })
