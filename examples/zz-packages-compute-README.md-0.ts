import { loadSpan, probeRows } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  const span = yield* loadSpan(model, 2, 5)
  const x = probeRows(6, span.hiddenSize) // f32 (6, hidden)
  const through = (chunks: ReadonlyArray<number>) =>
    Effect.promise(async () => {
      const kv = span.open(6)
      const y: Array<number> = []
      let position = 0
      for (const tokens of chunks) {
        const rows = x.subarray(position * span.hiddenSize, (position + tokens) * span.hiddenSize)
        y.push(...(await span.run([{ kv, position, tokens }], rows)))
        position += tokens
      }
      kv.free()
      return y
    })
  const [whole, cut] = [yield* through([6]), yield* through([1, 3, 1, 1])]
  console.log(span.digest, span.reproducible, whole.every((value, i) => Object.is(value, cut[i]))) // ... true true
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layer)))
