/** A session keeps its caches from turn to turn; a turn can be taken back; equal seeds give equal text. */
import { localPipeline, makeSession } from "@swarm/client"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect, Stream } from "effect"

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  const tokenizer = model.tokenizer()
  const pipeline = localPipeline([yield* loadSpan(model, 0, model.blocks)], 256)
  const session = makeSession({ pipeline, head: yield* loadHead(model), tokenizer })
  const say = (text: string, seed: number) =>
    session
      .generate(tokenizer.encode(text, { special: session.ids().length === 0 }), {
        maxTokens: 40,
        temperature: 1,
        topP: 0.9,
        seed,
        stop: ["."]
      })
      .pipe(Stream.runFold("", (said, token) => said + token.text))

  yield* say("Once upon a time there was a little owl", 1)
  const turn = session.ids().length
  const first = yield* say(". One day", 2)
  yield* Effect.promise(() => session.truncate(turn))
  const again = yield* say(". One day", 2)
  yield* Effect.promise(() => session.truncate(turn))
  const other = yield* say(". One day", 3)
  console.log(`same seed, same text: ${first === again}; another seed, another text: ${first !== other}`)
  // the last token that was drawn has not been through the blocks yet
  console.log(`tokens said and in the caches differ by ${session.ids().length - pipeline.position()}`)
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layer)))
// prints: same seed, same text: true; another seed, another text: true
// tokens said and in the caches differ by 1
