/** Three servers over WebSocket on this machine, each with a span of the embedded model, and a client. */
import { makeSession } from "@swarm/client"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { makeTestSwarm } from "@swarm/testing"
import { layerWebSocket } from "@swarm/transport"
import { Effect, Stream } from "effect"

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  const { blocks, hiddenSize } = model
  const swarm = yield* makeTestSwarm({ blocks, hiddenSize, transport: layerWebSocket(), listen: "ws://127.0.0.1:0" })
  for (const [from, to] of [
    [0, 3],
    [3, 6],
    [6, 8]
  ] as const)
    yield* swarm.start(yield* loadSpan(model, from, to))
  const client = yield* swarm.client
  const pipeline = yield* client.open({ model: swarm.model, maxTokens: 128 })
  console.log(
    pipeline
      .route()
      .map(({ blocks }) => `${blocks.from}:${blocks.to}`)
      .join(" -> ")
  )
  const tokenizer = model.tokenizer()
  const session = makeSession({ pipeline, head: yield* loadHead(model), tokenizer })
  const prompt = tokenizer.encode("Once upon a time there was a brave little dragon")
  const tokens = yield* Stream.runCollect(session.generate(prompt, { maxTokens: 12, temperature: 0 }))
  console.log(
    [...tokens]
      .map(({ text }) => text)
      .join("")
      .trim()
  )
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layer)))
// prints: 0:3 -> 3:6 -> 6:8
// named Suki. Her home was
