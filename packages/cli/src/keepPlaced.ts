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
  /** The range to move to, by what is known now; undefined: stay. */
  readonly wish: (server: Server) => BlockRange | undefined
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

const seconds = (): number => performance.now() / 1000

/**
 * Starts a server and looks, at random times, whether it should serve other blocks. A move loads and announces the new ones first; then the
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
        const next = yield* begin(range, ++turn)
        const old = kept
        kept = next
        options.onMoved(old.server, next.server)
        yield* old.server.drain
        yield* Scope.close(old.scope, Exit.void)
      }).pipe(
        Effect.catchAll((cause) => Effect.sync(() => options.onFailed(range, cause))),
        Effect.ensuring(Effect.sync(() => guard.moved(seconds())))
      )

    const look = (waitSeconds: number): Effect.Effect<never, never, R> =>
      Effect.gen(function* () {
        yield* Effect.sleep(1000 * waitSeconds)
        const verdict = guard.wish(options.wish(kept.server), seconds())
        if (verdict.move !== undefined) yield* move(verdict.move)
        return yield* look(verdict.waitSeconds)
      })
    yield* Effect.forkScoped(look(guard.first()))
    return { current: () => kept.server }
  })
