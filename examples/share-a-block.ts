/**
 * Tensor parallelism: two ranks share every block of a model, each with half of the heads, and sum what they have.
 * usage: node --import tsx --conditions=swarm-src examples/share-a-block.ts
 * @module
 */
import { localPipeline, makeSession } from "@swarm/client"
import { hostRank, loadHead, loadParallelSpan, predictRun } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { layerMemory } from "@swarm/transport"
import { Effect, Layer, Stream } from "effect"

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  // in earnest on another machine: `swarm rank --model ... --listen ws://0.0.0.0:7100`, and layerWebSocket() below
  const other = yield* hostRank(model, { listen: "memory:" })
  const span = yield* loadParallelSpan(model, 0, model.blocks, { ranks: [other.address] })

  const tokenizer = model.tokenizer()
  const session = makeSession({ pipeline: localPipeline([span], 64), head: yield* loadHead(model), tokenizer })
  const words = session.generate(tokenizer.encode("Once upon a time there was a brave little dragon"), {
    maxTokens: 24,
    temperature: 0
  })
  const tokens = yield* Stream.runCollect(words)
  console.log(
    [...tokens]
      .map(({ text }) => text)
      .join("")
      .trim()
  )

  const shape = { ranks: span.ranks, blocks: model.blocks, hiddenSize: model.hiddenSize }
  const { bytes, messages } = predictRun(shape, 1, 1)
  console.log(`a token: rank 1 sends ${bytes} bytes in ${messages} messages`)
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Layer.mergeAll(Engine.layer, layerMemory))))
// prints: named Suki. Her home was in a blue house. Suki had a red
// a token: rank 1 sends 12288 bytes in 16 messages
