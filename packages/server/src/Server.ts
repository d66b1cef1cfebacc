/**
 * A server: a span of blocks on the network, from the first measurement to the last drained session.
 * @module
 */
import { addRefusals, Discovery, noRefusals, ownAddresses, reachable, watchedDirectory } from "@swarm/discovery"
import { type Announcement, type Frame, never, type Status } from "@swarm/protocol"
import { type Connection, type ListenError, Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { type Host, makeBudget } from "./Host.ts"
import { measureRates } from "./measure.ts"
import { makeNeighbours } from "./neighbours.ts"
import { defaults, type ServerOptions } from "./Options.ts"
import { makeOutlet } from "./Outlet.ts"
import { makePeer, type Peer } from "./Peer.ts"
import { makeScheduler } from "./Scheduler.ts"

/** A server that is online. */
export interface Server {
  readonly peer: string
  /** Address to dial: the first of `addresses`. */
  readonly address: string
  /** Where it can be dialled: as announced, or one for each interface of this machine if it listens on all. */
  readonly addresses: ReadonlyArray<string>
  readonly announcement: () => Announcement
  readonly status: () => Status
  /** Other servers of the model: those that announce here, and those that discovery knows. Who was seen to end is left out. */
  readonly known: () => ReadonlyArray<Announcement>
  /** Asks others anew, and gives those of `known` that can be reached; in larger swarms, some are believed. */
  readonly look: Effect.Effect<ReadonlyArray<Announcement>>
  /**
   * Takes leave: no new sessions, those that run are told to move, and the directories know. Succeeds when the last
   * session has gone or `drainSeconds` are over.
   */
  readonly drain: Effect.Effect<void>
}

/** Copies of outputs, expiries and queues are looked after so often. */
const SWEEP_MILLISECONDS = 50
/** A look waits so long for those who are asked. */
const REFRESH_MILLISECONDS = 1500
/** Time to take leave of the directories. */
const WITHDRAW_MILLISECONDS = 500

/**
 * Serves a span until the scope closes. When it succeeds the span has been measured and announced.
 *
 * @example A server in the swarm that "ws://10.0.0.1:7000" knows
 * ```ts ignore needs a model and a network
 * const span = yield* loadSpan(model, 0, 10)
 * const server = yield* serve({ model, span, listen: "ws://0.0.0.0:7001", maxTokens: 2048 })
 * ```
 */
export const serve = (options: ServerOptions): Effect.Effect<Server, ListenError, Network | Discovery | Scope.Scope> =>
  Effect.gen(function* () {
    const network = yield* Network
    const discovery = yield* Discovery
    const settings = { ...defaults, ...options }
    const { span, model, maxTokens } = settings
    const rates = options.rates ?? (yield* Effect.promise(() => measureRates(span)))
    const started = performance.now()
    let state: Announcement["state"] = "online"
    let listened = ""
    const addresses = (): ReadonlyArray<string> => options.announce ?? ownAddresses(listened)

    // the scheduler calls the peer, which wakes the scheduler
    const later: { peer?: Peer } = {}
    const outlet = makeOutlet(span.hiddenSize)
    const budget = makeBudget(span, maxTokens, options.kvBytes, settings.idleSeconds)
    const host: Host = {
      span,
      outlet,
      budget,
      scheduler: makeScheduler(
        span,
        (session, work, rows) => later.peer?.done(session, work, rows),
        (session, cause) => later.peer?.failed(session, cause),
        {
          hops: Math.max(1, Math.round(model.blocks / (span.to - span.from))),
          ...options.scheduler,
          isAlone: () => budget.sessions() === 1
        }
      )
    }

    const announcement = (): Announcement => ({
      peer: network.self,
      // the first names every interface: who hears it puts the host there at which it sees this server
      addresses: options.announce ?? [...new Set([listened, ...addresses()])],
      model: model.digest,
      modelName: model.name,
      modelBlocks: model.blocks,
      blocks: { from: span.from, to: span.to },
      state,
      ...rates,
      digest: span.digest,
      freeTokens: host.budget.freeTokens(),
      maxTokens,
      sessions: host.budget.sessions(),
      queue: host.scheduler.queue(),
      version: settings.version,
      timeToLive: settings.timeToLive,
      ...(settings.weights === undefined ? {} : { weights: settings.weights }),
      nextHops: neighbours.nextHops()
    })
    const directory = yield* watchedDirectory(network, discovery.heard, model.digest)

    const receive = (frame: Frame, connection: Connection): void => {
      if (peer.handle(frame, connection) || frame.request === 0) return
      if (frame.kind === "find") directory.setOwn(announcement())
      if (directory.handle(frame, connection)) return
      connection.reply(frame.request, "fault", never("protocol", `a server takes no "${frame.kind}"`))
    }
    const connect = async (to: string, peerId: string): Promise<Connection> => {
      const connection = await Effect.runPromise(network.connect(to, peerId))
      connection.receive(receive)
      return connection
    }
    const neighbours = makeNeighbours({ model: model.digest, blocks: span, connect })
    const peer = makePeer(host, {
      model,
      maxTokens,
      queueSeconds: settings.queueSeconds,
      drainSeconds: settings.drainSeconds,
      connect,
      status: () => status()
    })
    later.peer = peer
    const status = (): Status => ({
      announcement: announcement(),
      sessions: peer.sessions(),
      kvTokens: peer.kvTokens(),
      channels: network.connections().length,
      uptimeSeconds: (performance.now() - started) / 1000,
      residentBytes: process.memoryUsage.rss(),
      refused: addRefusals(directory.counts.refused, discovery.refused?.() ?? noRefusals())
    })

    yield* Effect.acquireRelease(
      Effect.sync(() => setInterval(peer.sweep, SWEEP_MILLISECONDS)),
      (timer) =>
        Effect.promise(() => {
          clearInterval(timer)
          peer.close()
          return host.scheduler.idle()
        })
    )
    listened = yield* network.serve(options.listen, (connection) => connection.receive(receive))
    const announce = Effect.suspend(() => discovery.announce(announcement()))
    const known = () => [...directory.known(model.digest), ...discovery.known()]
    const measureWays = Effect.promise(() => neighbours.measure(known()))
    // free memory and queues change: what others route by must not be older than a third of its life
    const renew = Effect.sleep((settings.timeToLive * 1000) / 3).pipe(
      Effect.zipRight(measureWays),
      Effect.zipRight(announce),
      Effect.forever
    )
    yield* announce
    // so that one who joins through this server finds the others at once
    const renewal = yield* Effect.ignore(discovery.refresh).pipe(
      Effect.zipRight(measureWays),
      Effect.zipRight(Effect.suspend(() => (neighbours.nextHops().length > 0 ? announce : Effect.void))),
      Effect.zipRight(renew),
      Effect.forkScoped
    )
    // a directory that is gone must not hold up the end
    yield* Effect.addFinalizer(() =>
      discovery.withdraw.pipe(Effect.interruptible, Effect.timeout(WITHDRAW_MILLISECONDS), Effect.ignore)
    )

    const drained = Effect.gen(function* () {
      const deadline = performance.now() + settings.drainSeconds * 1000
      while (peer.sessions() > 0 && performance.now() < deadline) yield* Effect.sleep(20)
    })
    const drain = Effect.gen(function* () {
      state = "draining"
      yield* Fiber.interrupt(renewal)
      peer.drain()
      yield* Effect.all([Effect.ignore(Effect.timeout(announce, 2000)), drained], { concurrency: 2 })
    })
    return {
      peer: network.self,
      address: addresses()[0] ?? listened,
      addresses: addresses(),
      announcement,
      status,
      known: () => directory.known(model.digest),
      look: Effect.zipRight(
        Effect.ignore(Effect.timeout(discovery.refresh, REFRESH_MILLISECONDS)),
        Effect.suspend(() => reachable(network, directory.known(model.digest)))
      ),
      drain
    }
  })
