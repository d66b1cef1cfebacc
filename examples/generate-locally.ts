/** Generates with the embedded model, all blocks in this process. */
import { localPipeline, makeSession } from "@swarm/client"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect, Stream } from "effect"

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  const span = yield* loadSpan(model, 0, model.blocks)
  const head = yield* loadHead(model)
  const tokenizer = model.tokenizer()
  const session = makeSession({ pipeline: localPipeline([span], 256), head, tokenizer })
  const prompt = tokenizer.encode("Once upon a time there was a brave little dragon")
  const tokens = yield* Stream.runCollect(session.generate(prompt, { maxTokens: 24, temperature: 0 }))
  console.log(
    [...tokens]
      .map(({ text }) => text)
      .join("")
      .trim()
  )
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layer)))
// prints: named Suki. Her home was in a blue house. Suki had a red
