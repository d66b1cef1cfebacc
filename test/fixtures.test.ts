/**
 * Every fixture with outputs (families, quantized checkpoints, GGUF files), computed by our own engine in every cut, against what
 * transformers gave in float64 (f32 activations).
 */
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { localPipeline } from "@swarm/client"
import { loadHead, loadSpan, type Span } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { openSafetensors } from "@swarm/tensor"
import { Effect } from "effect"
import { describe } from "vitest"
import { expectedOf, feed, fixtureModels, greedy } from "./support/fixtureModels.ts"
import { integers, worst } from "./support/tensors.ts"

const FIXTURES = path.join(import.meta.dirname, "fixtures")
/** Largest allowed error relative to the largest expected value: the fixtures' README. */
const TOLERANCE = 1e-4

/** Ways to cut `blocks` blocks into one, two and three spans. */
const cutsOf = (blocks: number): ReadonlyArray<ReadonlyArray<number>> =>
  [
    [0, blocks],
    [0, 1, blocks],
    [0, 1, 2, blocks]
  ].filter((cut) => cut.every((at, i) => i === 0 || at > (cut[i - 1] ?? 0)))

layer(Engine.layer, { excludeTestServices: true })("fixtures", (it) => {
  for (const fixture of fixtureModels) {
    it.scoped(
      fixture.name,
      () =>
        Effect.gen(function* () {
          const model = yield* openModel(fixture.model)
          const { ids, logits, greedyIds } = expectedOf(fixture, model.blocks)
          const head = yield* loadHead(model, { activations: "f32" })
          for (const cut of cutsOf(model.blocks)) {
            const spans: Array<Span> = []
            for (let i = 0; i + 1 < cut.length; i++)
              spans.push(yield* loadSpan(model, cut[i] ?? 0, cut[i + 1] ?? 0, { activations: "f32" }))
            const pipeline = (tokens = ids.length + greedyIds.length) => localPipeline(spans, tokens)
            const whole = yield* Effect.promise(() => feed(pipeline(), head, ids, ids.length))
            const got = yield* Effect.promise(() => head.logits(whole))
            assert.isAtMost(worst(got, logits), TOLERANCE, `logits, cut at ${cut}`)
            // an encoder reads a text at once, and writes none
            for (const chunk of model.architecture.encoder ? [] : [1, 7]) {
              assert.deepStrictEqual(
                yield* Effect.promise(() => feed(pipeline(), head, ids, chunk)),
                whole,
                `chunks of ${chunk} to the bit`
              )
            }
            assert.deepStrictEqual(
              yield* Effect.promise(() => greedy(pipeline(), head, ids, greedyIds.length)),
              greedyIds
            )
          }
        }),
      60_000
    )
  }
})

describe("interleaved sessions", () => {
  layer(Engine.layer, { excludeTestServices: true })("four in the same runs", (it) => {
    for (const name of ["llama-gqa", "mistral-window", "qwen3", "gemma2", "gpt2", "bloom", "falcon-40b", "mixtral"]) {
      it.scoped(name, () =>
        Effect.gen(function* () {
          const model = yield* openModel(path.join(FIXTURES, "families", name))
          const ids = integers(
            openSafetensors(path.join(FIXTURES, "families", name, "expected.safetensors")),
            "input_ids"
          )
          const head = yield* loadHead(model)
          const span = yield* loadSpan(model, 0, model.blocks)
          // each session reads the text from another place on
          const texts = [0, 3, 7, 11].map((skip) => [...ids.slice(skip), ...ids.slice(0, skip)])
          const alone = yield* Effect.promise(() =>
            Promise.all(texts.map((text) => feed(localPipeline([span], 64), head, text, text.length)))
          )
          const slots = texts.map(() => span.open(64))
          const together = texts.map(() => new Float32Array(ids.length * span.hiddenSize))
          // graphs for several sessions are loaded while smaller ones serve: let all sizes take part
          for (let position = 0; position < ids.length; position++) {
            const x = Float32Array.from(texts.flatMap((text) => [...head.embed([text[position] ?? 0], position)]))
            const steps = slots.map((kv) => ({ kv, position, tokens: 1 }))
            const y = yield* Effect.promise(() => span.run(steps, x))
            for (const [session, rows] of together.entries()) {
              rows.set(
                y.subarray(session * span.hiddenSize, (session + 1) * span.hiddenSize),
                position * span.hiddenSize
              )
            }
            if (position === 8) yield* Effect.sleep(500)
          }
          assert.deepStrictEqual(together, alone)
        })
      )
    }
  })
})
