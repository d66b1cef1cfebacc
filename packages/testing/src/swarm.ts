/**
 * A swarm in this process: servers and clients over the in-memory transport, each with its own network and life.
 * @module
 */
import * as Client from "@swarm/client"
import type { Span } from "@swarm/compute"
import { Discovery, makeBootstrap } from "@swarm/discovery"
import * as Routing from "@swarm/routing"
import { type Server, type ServerOptions, serve } from "@swarm/server"
import { type Service as Carrier, layerMemory, layerNetwork, Network, Transport } from "@swarm/transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** What one peer alone sees of the carrier: `makeLink(...).wrap`, or less. */
export type Line = (carrier: Carrier) => Carrier

/** A server that can be killed. */
export interface TestServer {
  readonly server: Server
  readonly span: Span
  /** Ends it at once: channels break, nothing is said to anybody. */
  readonly kill: Effect.Effect<void>
}

export interface TestSwarm {
  /** Starts a server; the first one is the directory of all later ones. `line`: its own, over the swarm's carrier. */
  readonly start: (span: Span, options?: Partial<ServerOptions>, line?: Line) => Effect.Effect<TestServer>
  /** A client of its own, with its own connections, bans and journals. */
  readonly client: Effect.Effect<Client.Service, never, Scope.Scope>
  /** A client with a line of its own, and what it sees of its router. */
  readonly clientOver: (
    line: Line,
    router?: (router: Routing.Service) => Routing.Service
  ) => Effect.Effect<Client.Service, never, Scope.Scope>
  readonly model: {
    readonly digest: string
    readonly name: string
    readonly blocks: number
    readonly hiddenSize: number
  }
}

export interface TestSwarmOptions {
  /** Blocks of the model. */
  readonly blocks: number
  readonly hiddenSize?: number
  /** The carrier, such as an emulated link. @default in memory */
  readonly transport?: Layer.Layer<Transport>
  /** Where servers listen. @default an address of the in-memory transport for each */
  readonly listen?: string
  readonly maxTokens?: number
  /** Of every client: where and when its journals spill. */
  readonly client?: Client.SwarmOptions
}

let swarms = 0

/** Makes an empty swarm; everything in it ends with the scope. */
export const makeTestSwarm = (options: TestSwarmOptions): Effect.Effect<TestSwarm, never, Scope.Scope> =>
  Effect.gen(function* () {
    const id = `swarm-${process.pid}-${swarms++}`
    const model = { digest: id, name: "oracle", blocks: options.blocks, hiddenSize: options.hiddenSize ?? 64 }
    const carrier = yield* Layer.build(options.transport ?? layerMemory)
    const scope = yield* Effect.scope
    const directories: Array<string> = []
    let peers = 0

    const peerLayer = (line: Line) => {
      const transport = Layer.succeed(Transport, line(Context.get(carrier, Transport)))
      const network = layerNetwork({ software: "test" }).pipe(Layer.provide(transport))
      const discovery = Layer.scoped(
        Discovery,
        Effect.flatMap(Network, (made) => makeBootstrap(made, { addresses: [...directories] }))
      )
      return discovery.pipe(Layer.provideMerge(network))
    }

    const clientOver: TestSwarm["clientOver"] = (line, router = (standard) => standard) =>
      Effect.gen(function* () {
        const routing = Layer.effect(
          Routing.Router,
          Effect.map(Routing.make({ known: Effect.map(Discovery, (discovery) => discovery.known) }), router)
        )
        const layers = Client.layer(options.client).pipe(Layer.provide(routing), Layer.provide(peerLayer(line)))
        const context = yield* Layer.build(layers)
        return yield* Effect.provide(Client.Swarm, context)
      })

    return {
      model,
      start: (span, extra, line = same) =>
        Effect.gen(function* () {
          const own = yield* Scope.fork(scope, { _tag: "Sequential" })
          const context = yield* Layer.buildWithScope(peerLayer(line), own)
          const server = yield* serve({
            model,
            span,
            listen: options.listen ?? `memory:${id}-${span.from}-${span.to}-${peers++}`,
            maxTokens: options.maxTokens ?? 1024,
            ...extra
          }).pipe(Effect.provide(context), Scope.extend(own), Effect.orDie)
          directories.push(server.address)
          return { server, span, kill: Scope.close(own, Exit.void) }
        }),
      client: clientOver(same),
      clientOver
    }
  })

const same: Line = (carrier) => carrier
