/**
 * The layers that commands run on: the network, discovery by given addresses, routing, the engine.
 * @module
 */
import { layer as layerClient, type Swarm } from "@swarm/client"
import { Discovery, makeBootstrap, makeStatic } from "@swarm/discovery"
import * as Engine from "@swarm/engine"
import { type Identity, makeIdentity } from "@swarm/identity"
import { layer as layerRouting } from "@swarm/routing"
import { layerNetwork, layerWebSocket, makeWebSocket, Network, type Service, Transport } from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type Member, remembered } from "./membership.ts"
import { version } from "./version.ts"

/**
 * `ws://…` and multiaddrs, each by its own carrier. libp2p is loaded and started when the first of its addresses is used: most swarms use none.
 */
const carriers = (identity: Identity): Layer.Layer<Transport> =>
  Layer.scoped(
    Transport,
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const webSocket = makeWebSocket()
      const libp2p = yield* Effect.cached(
        Effect.promise(() => import("@swarm/transport-libp2p")).pipe(
          Effect.flatMap(({ makeLibp2p }) => Scope.extend(makeLibp2p({ identity }), scope))
        )
      )
      const of = (address: string): Effect.Effect<Service> =>
        address.startsWith("/") ? libp2p : Effect.succeed(webSocket)
      return {
        dial: (address) => Effect.flatMap(of(address), ({ dial }) => dial(address)),
        listen: (address, onChannel) => Effect.flatMap(of(address), ({ listen }) => listen(address, onChannel))
      }
    })
  )

const network = ({ identity, membership }: Member) =>
  layerNetwork({
    identity,
    ...(membership === undefined ? {} : { membership }),
    software: `swarm ${version}`
  }).pipe(Layer.provide(carriers(identity)))

const lookup = (join: ReadonlyArray<string>, { membership }: Member) => ({
  addresses: join,
  ...(join.length === 0 ? {} : { memory: remembered(join, membership?.swarm) })
})

/** What a server needs besides its span. `join`: the directories to announce to. */
export const serverLayer = (join: ReadonlyArray<string>, member: Member): Layer.Layer<Network | Discovery> =>
  Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (made) => makeBootstrap(made, lookup(join, member)))
  ).pipe(Layer.provideMerge(network(member)))

/** Who looks at the swarm that the servers at `join` know. */
export const seekerLayer = (join: ReadonlyArray<string>, member: Member): Layer.Layer<Network | Discovery> =>
  Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (made) => makeStatic(made, lookup(join, member)))
  ).pipe(Layer.provideMerge(network(member)))

/** A client of the swarm that the servers at `join` know. */
export const clientLayer = (
  join: ReadonlyArray<string>,
  member: Member = { identity: makeIdentity(), membership: undefined }
): Layer.Layer<Swarm | Discovery> => {
  const routing = layerRouting({
    known: Effect.map(Discovery, ({ known }) => known),
    onDemotion: (peer, demotion) =>
      console.error(`server ${peer.slice(-8)} ${demotion === undefined ? "gets another try" : demotion.reason}`)
  })
  return layerClient().pipe(Layer.provide(routing), Layer.provideMerge(seekerLayer(join, member)))
}

/** What the ranks of a group reach each other over. */
export const transportLayer = layerWebSocket()

/** The engine; see `@swarm/engine`. */
export const engineLayer = Engine.layer
