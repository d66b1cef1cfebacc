/**
 * A peer's connections to other peers.
 * @module
 */
import { type Identity, type Membership, makeIdentity } from "@swarm/identity"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Connection, Introduction } from "./Connection.ts"
import { type ConnectionEvents, makeConnection } from "./internal/connection.ts"
import { Deadlines } from "./internal/Deadlines.ts"
import { admit, greet } from "./internal/handshake.ts"
import { HELLO_SECONDS } from "./Limits.ts"
import { type Channel, Transport } from "./Transport.ts"
import { DialError, type ListenError } from "./TransportError.ts"

/** One peer's connections: those that it dialled, at most one per address and shared by all, and those that came in. */
export interface Network {
  /** This peer's id. */
  readonly self: string
  readonly identity: Identity
  /** In a private swarm: by what this peer is a member, and who else is. */
  readonly membership: Membership | undefined
  /**
   * The open connection to `address`, or a new one; concurrent calls share one dial. It lives until it is closed by
   * either end or the network ends: not scoped to the caller. With `peer`, fails if another one answers there.
   */
  readonly connect: (address: string, peer?: string) => Effect.Effect<Connection, DialError>
  /**
   * Accepts connections until the scope closes; that closes them too. `onConnection` is called after the handshake and
   * sets the receiver. Returns the address to dial, which later hellos name unless the options do.
   */
  readonly serve: (
    address: string,
    onConnection: (connection: Connection) => void
  ) => Effect.Effect<string, ListenError, Scope.Scope>
  /** The open ones, both ways. */
  readonly connections: () => ReadonlyArray<Connection>
  /** In a private swarm: takes a list of revoked invites, disconnects who is on it, and passes it on. False: it is not new. */
  readonly revoke: (list: Uint8Array) => boolean
}

/** The service. The type of the same name is its shape. */
export const Network = Context.GenericTag<Network>("@swarm/transport/Network")

export interface NetworkOptions {
  /** Who this peer is. @default {a new one} */
  readonly identity?: Identity
  /** Makes the swarm private. Of this identity. */
  readonly membership?: Membership
  /** Name and version of the software, for people. */
  readonly software: string
  /** Where this peer can be dialled, where it differs from what it listens on (behind a forwarded port). */
  readonly serveAddress?: string
  /** Seconds until the handshake must be over, at both ends. @default 5 */
  readonly helloSeconds?: number
}

/**
 * A network over the {@link Transport}; everything of it is released with the scope.
 *
 * @example A request and its reply
 * ```ts
 * import { layerMemory, makeNetwork } from "@swarm/transport"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const server = yield* makeNetwork({ software: "example" })
 *   const client = yield* makeNetwork({ software: "example" })
 *   const address = yield* server.serve("memory:server", (connection) =>
 *     connection.receive((frame) => {
 *       if (frame.kind === "find") connection.reply(frame.request, "found", { announcements: [] })
 *     })
 *   )
 *   const connection = yield* client.connect(address)
 *   const reply = yield* Effect.promise(() => connection.request("find", { model: "" }))
 *   console.log(connection.peer === server.self, reply.body.announcements.length) // => true 0
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layerMemory)))
 * ```
 */
export const makeNetwork = (options: NetworkOptions): Effect.Effect<Network, never, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    // parallel: a peer that does not say goodbye must not delay the others
    const dials = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.parallel)
    const deadlines = new Deadlines()
    const dialled = new Map<string, Dialled>()
    const connections = new Set<Connection>()
    const served: Array<string> = []
    let ended = false

    const identity = options.identity ?? makeIdentity()
    const { membership } = options
    const self = () => {
      const address = options.serveAddress ?? served[0]
      return { software: options.software, ...(address === undefined ? {} : { address }) }
    }
    const common = { identity, membership, self, deadlines, seconds: options.helloSeconds ?? HELLO_SECONDS }

    const revoke = (list: Uint8Array): boolean => {
      if (membership?.adopt(list) !== true) return false
      for (const connection of [...connections]) {
        connection.notify("revoked", { list })
        const why = membership.refusal(connection.peer, connection.hello.credential, "use")
        if (why !== undefined) connection.close(why)
      }
      return true
    }

    const adopt = (channel: Channel, peer: Introduction, events: Partial<ConnectionEvents>): Connection =>
      makeConnection(channel, peer, deadlines, {
        onOpen: (connection) => {
          connections.add(connection)
          events.onOpen?.(connection)
          const list = membership?.revocations()
          if (list !== undefined) connection.notify("revoked", { list })
        },
        onRevoked: (list) => void revoke(list),
        onClosed: (connection) => {
          connections.delete(connection)
          events.onClosed?.(connection)
        }
      })

    const greeted = (channel: Channel, address: string, onClosed: () => void): Effect.Effect<Connection, DialError> =>
      Effect.async((resume) => {
        greet({
          ...common,
          channel,
          done: (welcome) => resume(Effect.succeed(adopt(channel, { ...welcome, address }, { onClosed }))),
          failed: (detail, reason) => resume(Effect.fail(new DialError({ address, reason, detail })))
        })
      })

    const dial = (address: string, entry: Dialled): Effect.Effect<void> =>
      Effect.gen(function* () {
        const own = yield* Scope.fork(dials, ExecutionStrategy.sequential)
        const forget = (): void => {
          if (dialled.get(address) === entry) dialled.delete(address)
          Effect.runFork(Scope.close(own, Exit.void))
        }
        const exit = yield* transport.dial(address).pipe(
          Scope.extend(own),
          Effect.flatMap((channel) => greeted(channel, address, forget)),
          Effect.exit
        )
        if (Exit.isSuccess(exit)) entry.connection = exit.value
        else forget()
        yield* Deferred.done(entry.deferred, exit)
      })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        ended = true
        for (const connection of connections) connection.close("the network ended")
        for (const [address, entry] of dialled) Deferred.unsafeDone(entry.deferred, Effect.fail(endedError(address)))
        dialled.clear()
      })
    )

    return {
      self: identity.peer,
      identity,
      membership,
      revoke,
      connect: (address, peer) =>
        Effect.suspend(() => {
          if (ended) return Effect.fail(endedError(address))
          const known = dialled.get(address)
          if (known !== undefined && known.connection?.isClosed() !== true) return Deferred.await(known.deferred)
          const entry: Dialled = { deferred: Deferred.unsafeMake(FiberId.none), connection: undefined }
          dialled.set(address, entry)
          return Effect.zipRight(Effect.forkIn(dial(address, entry), dials), Deferred.await(entry.deferred))
        }).pipe(
          Effect.filterOrFail(
            (connection) => peer === undefined || connection.peer === peer,
            ({ peer: other }) =>
              new DialError({ address, reason: "handshake", detail: `peer "${other}" answers there, not "${peer}"` })
          )
        ),
      serve: (address, onConnection) =>
        Effect.gen(function* () {
          const at = yield* transport.listen(address, (channel) =>
            admit({
              ...common,
              channel,
              done: (peer) => void adopt(channel, peer, { onOpen: onConnection }),
              failed: () => {}
            })
          )
          served.push(at)
          yield* Effect.addFinalizer(() => Effect.sync(() => served.splice(served.indexOf(at), 1)))
          return at
        }),
      connections: () => [...connections]
    }
  })

/** {@link makeNetwork} as a layer. */
export const layerNetwork = (options: NetworkOptions): Layer.Layer<Network, never, Transport> =>
  Layer.scoped(Network, makeNetwork(options))

interface Dialled {
  readonly deferred: Deferred.Deferred<Connection, DialError>
  /** Set when the handshake is over. */
  connection: Connection | undefined
}

const endedError = (address: string): DialError =>
  new DialError({ address, reason: "refused", detail: "the network of this peer has ended" })
