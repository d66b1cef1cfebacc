/**
 * `swarm logits`: logits and hidden states of given ids, for comparison with other software.
 * @module
 */
import { loadHead, loadSpan, type SpanOptions } from "@swarm/compute"
import type { Model } from "@swarm/model"
import { writeSafetensors } from "@swarm/tensor"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { engineLayer } from "../layers.ts"
import { spanOptions } from "../numerics.ts"
import { CommandFailed, makeOutput } from "../output.ts"
import { modelOf, openRunnable } from "../sessions.ts"
import type { logits } from "../specs.ts"
import { readIds } from "./generate.ts"

type Values = Parsed<typeof logits.options>["values"]

export const run = ({ values }: Parsed<typeof logits.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const { ids: file, out } = values
    if (file === undefined || out === undefined) return yield* Effect.fail(new UsageError("--ids and --out are needed"))
    if (values.hidden && !values.local)
      return yield* Effect.fail(new UsageError("--hidden needs --local: a chain shows no block's output but the last"))
    const model = yield* modelOf(values)
    const ids = yield* readIds(file, model.vocabSize)
    if (ids.length > model.contextLength)
      return yield* new CommandFailed({
        detail: `${ids.length} ids are more than the ${model.contextLength} of ${model.name}`
      })
    const started = performance.now()
    const result = values.hidden ? yield* blockByBlock(model, spanOptions(values), ids) : yield* wholeModel(values, ids)
    yield* Effect.try({
      try: () => {
        const entries = [
          { name: "logits", type: "f32" as const, shape: [ids.length, model.vocabSize], data: result.logits },
          ...(result.hidden === undefined
            ? []
            : [
                {
                  name: "hidden",
                  type: "f32" as const,
                  shape: [model.blocks + 1, ids.length, model.hiddenSize],
                  data: result.hidden
                }
              ])
        ]
        writeSafetensors(out, entries)
      },
      catch: (cause) =>
        new CommandFailed({ detail: `Cannot write "${out}": ${cause instanceof Error ? cause.message : cause}` })
    })
    const seconds = (performance.now() - started) / 1000
    output.event(
      { event: "done", out, tokens: ids.length, vocab: model.vocabSize, hidden: values.hidden, seconds },
      `${out}: ${ids.length} tokens, ${seconds.toFixed(1)} s`
    )
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

const wholeModel = (values: Values, ids: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const { head, pipeline: open } = yield* openRunnable(values)
    const pipeline = yield* open(ids.length)
    const computed = yield* Effect.tryPromise({
      try: async () => head.logits(await pipeline.forward(head.embed(ids), "all")),
      catch: (cause) => cause
    })
    return { logits: computed, hidden: undefined }
  })

/** Loads one block after the other, so that every boundary is seen. */
const blockByBlock = (model: Model, options: SpanOptions, ids: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const head = yield* loadHead(model, options)
    let x = head.embed(ids)
    const hidden = new Float32Array((model.blocks + 1) * x.length)
    hidden.set(x)
    for (let block = 0; block < model.blocks; block++) {
      x = yield* Effect.scoped(
        Effect.gen(function* () {
          const span = yield* loadSpan(model, block, block + 1, options)
          const kv = span.open(ids.length)
          const rows = yield* Effect.promise(() => span.run([{ kv, position: 0, tokens: ids.length }], x))
          kv.free()
          return rows
        })
      )
      hidden.set(x, (block + 1) * x.length)
    }
    return { logits: yield* Effect.promise(() => head.logits(x)), hidden }
  })
