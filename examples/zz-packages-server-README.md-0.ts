import { layerBootstrap } from "@swarm/discovery"
import { serve } from "@swarm/server"
import { oracleSpan } from "@swarm/testing"
import { layerMemory, layerNetwork, makeNetwork } from "@swarm/transport"
import { Effect, Layer } from "effect"

const model = { digest: "digest-of-the-model", name: "demo", blocks: 8 }
const peer = layerBootstrap({ addresses: [] }).pipe(
  Layer.provideMerge(layerNetwork({ peer: "server", software: "example" }))
)
const program = Effect.gen(function* () {
  const span = oracleSpan({ from: 0, to: 8 }) // in earnest: yield* loadSpan(model, 0, 8)
  const context = yield* Layer.build(peer)
  const server = yield* serve({ model, span, listen: "memory:server", maxTokens: 512 }).pipe(Effect.provide(context))

  const visitor = yield* makeNetwork({ peer: "visitor", software: "example" })
  const connection = yield* visitor.connect(server.address)
  const { body } = yield* Effect.promise(() => connection.request("status", {}))
  console.log(body.announcement?.blocks, body.announcement?.freeTokens, body.sessions) // => { from: 0, to: 8 } 8192 0
  yield* server.drain
  console.log(server.announcement().state) // => draining
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layerMemory)))
