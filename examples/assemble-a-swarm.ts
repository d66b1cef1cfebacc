/** A swarm out of its layers, with nothing for tests in it: two servers over WebSocket, a directory, a client. */
import * as Client from "@swarm/client"
import { loadHead, loadSpan } from "@swarm/compute"
import { Discovery, layerBootstrap, layerStatic } from "@swarm/discovery"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import * as Routing from "@swarm/routing"
import { serve } from "@swarm/server"
import { layerNetwork, layerWebSocket } from "@swarm/transport"
import { Effect, Layer, Stream } from "effect"

const network = () => layerNetwork({ software: "example" }).pipe(Layer.provide(layerWebSocket()))
/** Each server has a network of its own and tells those at `join` of itself. */
const serverLayer = (join: ReadonlyArray<string>) =>
  layerBootstrap({ addresses: join }).pipe(Layer.provideMerge(network()))
const clientLayer = (join: ReadonlyArray<string>) =>
  Client.layer().pipe(
    Layer.provide(Routing.layer({ known: Effect.map(Discovery, ({ known }) => known) })),
    Layer.provide(layerStatic({ addresses: join })),
    Layer.provide(network())
  )

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  const start = (from: number, to: number, join: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const span = yield* loadSpan(model, from, to)
      const context = yield* Layer.build(serverLayer(join))
      return yield* serve({ model, span, listen: "ws://127.0.0.1:0", maxTokens: 256 }).pipe(Effect.provide(context))
    })
  const first = yield* start(0, 4, [])
  yield* start(4, 8, [first.address])

  const generate = Effect.gen(function* () {
    const swarm = yield* Client.Swarm
    const pipeline = yield* swarm.open({ model, maxTokens: 128 })
    console.log(pipeline.route().map(({ blocks }) => `${blocks.from}:${blocks.to}`))
    const tokenizer = model.tokenizer()
    const session = Client.makeSession({ pipeline, head: yield* loadHead(model), tokenizer })
    const story = session.generate(tokenizer.encode("The little owl"), { maxTokens: 12, temperature: 0 })
    console.log(yield* Stream.runFold(story, "", (said, { text }) => said + text))
  })
  yield* generate.pipe(Effect.provide(clientLayer([first.address])))
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layer)))
// prints: [ '0:4', '4:8' ]
// . His home was in a blue house.
