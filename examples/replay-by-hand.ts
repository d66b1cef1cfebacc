/** A journal, and a second server that is fed from it: the same bits as the first one gave, however the rows are cut. */
import { makeJournalStore } from "@swarm/cache"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { decodeRows, encodeRows } from "@swarm/quant"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const model = yield* openModel("tiny")
  const { hiddenSize } = model
  const span = yield* loadSpan(model, 0, 4)
  const head = yield* loadHead(model)
  const store = makeJournalStore({ memoryBytes: 2 ** 20 })
  const journal = store.journal()

  // token by token, each row journalled as it would cross the wire, and computed from those bytes
  const ids = model.tokenizer().encode("Once upon a time there was a brave little dragon")
  const lost = span.open(64)
  let last: Float32Array = new Float32Array(hiddenSize)
  for (const [position, id] of ids.entries()) {
    const { codec, payload } = encodeRows("f16", head.embed([id]), hiddenSize)
    journal.append({ position, tokens: 1, codec, payload })
    const x = decodeRows(codec, payload, 1, hiddenSize)
    last = yield* Effect.promise(() => span.run([{ kv: lost, position, tokens: 1 }], x))
  }
  lost.free()

  // the replacement takes them in steps of five
  const replacement = span.open(64)
  let again = last
  for (const { position, tokens, codec, payload } of journal.read(0, 5)) {
    const x = decodeRows(codec, payload, tokens, hiddenSize)
    const y = yield* Effect.promise(() => span.run([{ kv: replacement, position, tokens }], x))
    again = y.slice((tokens - 1) * hiddenSize)
  }
  const equal = last.every((value, i) => Object.is(value, again[i]))
  console.log(`${journal.end()} rows, ${journal.bytes()} bytes of journal; equal to the bit: ${equal}`)
  store.close()
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layer)))
// prints: 11 rows, 4224 bytes of journal; equal to the bit: true
