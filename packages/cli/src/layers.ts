/**
 * The layers that commands run on: the network over WebSocket, discovery by given addresses, routing, the engine.
 * @module
 */
import { randomBytes } from "node:crypto"
import { layer as layerClient, type Swarm } from "@swarm/client"
import { Discovery, makeBootstrap, makeStatic } from "@swarm/discovery"
import * as Engine from "@swarm/engine"
import { layer as layerRouting } from "@swarm/routing"
import { layerNetwork, layerWebSocket, Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { version } from "./version.ts"

const network = () =>
  layerNetwork({ peer: randomBytes(16).toString("hex"), software: `swarm ${version}` }).pipe(
    Layer.provide(layerWebSocket())
  )

/** What a server needs besides its span. `join`: the directories to announce to. */
export const serverLayer = (join: ReadonlyArray<string>): Layer.Layer<Network | Discovery> =>
  Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (made) => makeBootstrap(made, { addresses: join }))
  ).pipe(Layer.provideMerge(network()))

/** A client of the swarm that the servers at `join` know. */
export const clientLayer = (join: ReadonlyArray<string>): Layer.Layer<Swarm | Discovery> => {
  const discovery = Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (made) => makeStatic(made, { addresses: join }))
  )
  const routing = layerRouting({
    known: Effect.map(Discovery, ({ known }) => known),
    onDemotion: (peer, demotion) =>
      console.error(`server ${peer.slice(0, 8)} ${demotion === undefined ? "gets another try" : demotion.reason}`)
  })
  return layerClient().pipe(Layer.provide(routing), Layer.provideMerge(discovery), Layer.provide(network()))
}

/** The engine; see `@swarm/engine`. */
export const engineLayer = Engine.layer
