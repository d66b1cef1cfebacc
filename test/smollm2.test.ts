/**
 * SmolLM2 against transformers: ids, hidden states, logits, perplexity; in one process and over three.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { localPipeline, makeSession, type Pipeline } from "@swarm/client"
import { type Head, loadHead, loadSpan, type SpanOptions } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { openSafetensors } from "@swarm/tensor"
import { Effect, Stream } from "effect"
import { describe, it } from "vitest"
import { clientOf, served, startBlocks } from "./support/servers.ts"
import { smollm2 } from "./support/smollm2.ts"
import { argmaxRow, floats, integers, worst } from "./support/tensors.ts"

const FOLDER = path.join(import.meta.dirname, "fixtures", "smollm2")
const PROMPTS = ["story", "fact", "chat", "code", "one", "list", "unicode", "long"]
const CUTS = [
  [0, 10],
  [10, 20],
  [20, 30]
] as const

const expected = openSafetensors(path.join(FOLDER, "expected.safetensors"))
const reference = JSON.parse(fs.readFileSync(path.join(FOLDER, "prompts.json"), "utf8")) as {
  readonly perplexity: {
    readonly nll: number
    readonly perplexity: number
    readonly window: number
    readonly windows: number
  }
}

const load = (options: SpanOptions) =>
  Effect.gen(function* () {
    const model = yield* openModel(smollm2 ?? "")
    const spans = yield* Effect.forEach(CUTS, ([from, to]) => loadSpan(model, from, to, options))
    return { model, spans, head: yield* loadHead(model, options) }
  })

const generate = (pipeline: Pipeline, head: Head, ids: ReadonlyArray<number>) =>
  makeSession({ pipeline, head })
    .generate(ids, { maxTokens: 64, temperature: 0 })
    .pipe(
      Stream.runCollect,
      Effect.map((tokens) => [...tokens].map(({ id }) => id))
    )

/** Mean negative log likelihood of tokens 1.. of `ids`, given logits (tokens, vocab) of each position. */
const nll = (logits: Float32Array, ids: ReadonlyArray<number>, vocab: number): number => {
  let total = 0
  for (let position = 0; position + 1 < ids.length; position++) {
    const row = logits.subarray(position * vocab, (position + 1) * vocab)
    let greatest = Number.NEGATIVE_INFINITY
    for (const value of row) greatest = Math.max(greatest, value)
    let sum = 0
    for (const value of row) sum += Math.exp(value - greatest)
    total += greatest + Math.log(sum) - (row[ids[position + 1] ?? 0] ?? Number.NaN)
  }
  return total / (ids.length - 1)
}

if (smollm2 === undefined) describe.skip("SmolLM2 (the model is not there)", () => it.todo("all of it"))
else
  layer(Engine.layer, { excludeTestServices: true })("SmolLM2", (it) => {
    it.scoped(
      "f32 activations, one process: states, logits and 64 greedy ids of every prompt",
      () =>
        Effect.gen(function* () {
          const { spans, head } = yield* load({ activations: "f32" })
          for (const name of PROMPTS) {
            const ids = integers(expected, `${name}.ids`)
            const pipeline = localPipeline(spans, ids.length)
            const rows = yield* Effect.promise(() => pipeline.forward(head.embed(ids), "all"))
            const last = rows.subarray((ids.length - 1) * head.hiddenSize)
            assert.isAtMost(
              worst(yield* Effect.promise(() => head.logits(last)), floats(expected, `${name}.last_logits`)),
              1e-4,
              name
            )
            if (ids.length < 64) {
              const hidden = floats(expected, `${name}.hidden`)
              const size = ids.length * head.hiddenSize
              let x = head.embed(ids)
              assert.isAtMost(worst(x, hidden.subarray(0, size)), 1e-4)
              for (const [index, span] of spans.entries()) {
                const kv = span.open(ids.length)
                x = yield* Effect.promise(() => span.run([{ kv, position: 0, tokens: ids.length }], x))
                kv.free()
                assert.isAtMost(
                  worst(x, hidden.subarray((index + 1) * size, (index + 2) * size)),
                  1e-4,
                  `${name} after block ${span.to - 1}`
                )
              }
            }
            assert.deepStrictEqual(
              yield* generate(localPipeline(spans, ids.length + 64), head, ids),
              integers(expected, `${name}.greedy_ids`),
              name
            )
          }
        }),
      300_000
    )

    it.scoped(
      "f32 activations, three `swarm serve` processes: 64 greedy ids of every prompt, four at a time",
      () =>
        Effect.gen(function* () {
          const f32 = ["--activations", "f32"]
          const model = yield* openModel(smollm2 ?? "")
          const head = yield* loadHead(model, { activations: "f32" })
          const start = (cut: (typeof CUTS)[number], join: ReadonlyArray<string> = []) =>
            startBlocks(smollm2 ?? "", cut, join, f32)
          const first = yield* start(CUTS[0])
          const others = yield* Effect.forEach([CUTS[1], CUTS[2]], (cut) => start(cut, [first.address]), {
            concurrency: 2
          })
          const servers = [first, ...others]
          const client = yield* clientOf([first])
          yield* Effect.forEach(
            PROMPTS,
            (name) =>
              Effect.scoped(
                Effect.gen(function* () {
                  const ids = integers(expected, `${name}.ids`)
                  const maxTokens = ids.length + 64
                  const chain = yield* client.open({ model: served(model), maxTokens, codec: "f32" })
                  assert.deepStrictEqual(
                    yield* generate(chain, head, ids),
                    integers(expected, `${name}.greedy_ids`),
                    name
                  )
                  assert.deepStrictEqual(
                    chain.route().map(({ peer }) => peer),
                    servers.map(({ peer }) => peer)
                  )
                  assert.strictEqual(chain.recoveries(), 0)
                })
              ),
            { concurrency: 4 }
          )
        }),
      300_000
    )

    it.scoped(
      "int8 activations: top-1 agreement, perplexity within 1 %",
      () =>
        Effect.gen(function* () {
          const { model, spans, head } = yield* load({ activations: "int8" })
          let same = 0
          let count = 0
          for (const name of PROMPTS) {
            const ids = integers(expected, `${name}.ids`)
            const bytes = expected.read(`${name}.top20.ids`)
            const top = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
            const pipeline = localPipeline(spans, ids.length)
            const logits = yield* Effect.promise(async () =>
              head.logits(await pipeline.forward(head.embed(ids), "all"))
            )
            for (let position = 0; position < ids.length; position++, count++) {
              if (argmaxRow(logits, position, head.vocabSize) === top[position * 20]) same++
            }
          }
          console.log(
            `SmolLM2, int8 activations: top-1 agreement ${((100 * same) / count).toFixed(2)} % of ${count} positions`
          )
          assert.isAtLeast(same / count, 0.97)

          const { window, windows, perplexity } = reference.perplexity
          const text = model
            .tokenizer()
            .encode(fs.readFileSync(path.join(FOLDER, "perplexity.txt"), "utf8"), { special: false })
          let total = 0
          for (let index = 0; index < windows; index++) {
            const ids = text.slice(index * window, (index + 1) * window)
            const pipeline = localPipeline(spans, window)
            total += nll(
              yield* Effect.promise(async () => head.logits(await pipeline.forward(head.embed(ids), "all"))),
              ids,
              head.vocabSize
            )
            yield* Effect.promise(() => pipeline.close())
          }
          const ours = Math.exp(total / windows)
          console.log(
            `SmolLM2, int8 activations: perplexity ${ours.toFixed(3)}, float reference ${perplexity.toFixed(3)}`
          )
          assert.isAtMost(Math.abs(ours / perplexity - 1), 0.01)
        }),
      300_000
    )
  })
