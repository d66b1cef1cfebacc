import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { type Model, openModel } from "@swarm/model"
import { Effect } from "effect"

const EXACT = { weights: "f32", activations: "f32" } as const

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-load-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** The model with every weight of its blocks that is a matrix replaced by NaN. */
const broken = (model: Model): Model => ({
  ...model,
  // another model: it must not meet the cache of the first
  digest: `${model.digest}-broken`,
  span: (from, to, options) => {
    const plan = model.span(from, to, options)
    const initializers = plan.initializers.map((initializer) =>
      initializer.type === "f32" && initializer.shape.length > 1 && !initializer.name.startsWith("rotary")
        ? { ...initializer, read: () => new Float32Array(initializer.bytes / 4).fill(Number.NaN) }
        : initializer
    )
    return { ...plan, initializers }
  }
})

layer(Engine.layer, { excludeTestServices: true })("loading", (it) => {
  it.scoped("refuses a span whose weights are not numbers", () =>
    Effect.gen(function* () {
      const model = broken(yield* openModel("tiny"))
      const failure = yield* Effect.flip(loadSpan(model, 1, 2, { ...EXACT, weightFolder: yield* temporary }))
      assert.deepInclude(failure, { _tag: "ProbeFailed", from: 1, to: 2 })
      assert.include(failure.message, "1:2")
    })
  )

  it.scoped("a head: logits of each row do not depend on the rows beside it, nor on how many there are", () =>
    Effect.gen(function* () {
      const head = yield* loadHead(yield* openModel("tiny"), { ...EXACT, weightFolder: yield* temporary })
      assert.deepStrictEqual([head.hiddenSize, head.vocabSize], [192, 1024])
      // more rows than one run takes
      const ids = Array.from({ length: 70 }, (_, i) => (i * 37) % 1024)
      const x = head.embed(ids)
      assert.strictEqual(x.length, ids.length * 192)
      const all = yield* Effect.promise(() => head.logits(x))
      for (const row of [0, 31, 32, 69]) {
        const one = yield* Effect.promise(() => head.logits(x.subarray(row * 192, (row + 1) * 192)))
        assert.isTrue(Buffer.from(one.buffer).equals(Buffer.from(all.buffer, row * 4096, 4096)), `row ${row}`)
      }
    })
  )

  it.scoped("a head answers calls at the same time each with its own logits", () =>
    Effect.gen(function* () {
      const head = yield* loadHead(yield* openModel("tiny"), { ...EXACT, weightFolder: yield* temporary })
      const rows = [5, 600, 5].map((id) => head.embed([id]))
      const [first, second, third] = yield* Effect.promise(() => Promise.all(rows.map((x) => head.logits(x))))
      assert.deepStrictEqual(first, third)
      assert.notDeepEqual(first, second)
    })
  )

  it.scoped("a head refuses what are not whole rows, and goes on", () =>
    Effect.gen(function* () {
      const head = yield* loadHead(yield* openModel("tiny"), { ...EXACT, weightFolder: yield* temporary })
      for (const length of [0, 191, 193]) {
        const failure = yield* Effect.promise(() =>
          head.logits(new Float32Array(length)).then(
            () => undefined,
            (cause: unknown) => cause
          )
        )
        assert.instanceOf(failure, RangeError)
      }
      assert.lengthOf(yield* Effect.promise(() => head.logits(head.embed([1]))), 1024)
    })
  )
  it.scoped("an encoder: a text has the same rows alone and beside others, and is not cut", () =>
    Effect.gen(function* () {
      const model = yield* openModel(path.join(import.meta.dirname, "../../../test/fixtures/families/bert"))
      const weightFolder = yield* temporary
      const span = yield* loadSpan(model, 0, model.blocks, { weights: "q8", weightFolder })
      assert.deepInclude(span, { encoder: true, reproducible: true, kvBytesPerToken: 0 })
      const head = yield* loadHead(model, { weights: "q8", weightFolder })
      const texts = [[7], [7, 8, 9], [40, 30, 20, 10, 5, 3], [9, 8, 7]].map((ids) => head.embed(ids))
      const steps = texts.map((x) => ({ kv: span.open(8), position: 0, tokens: x.length / span.hiddenSize }))
      const run = (some: typeof steps, x: Float32Array) => Effect.promise(() => span.run(some, x))
      const alone: Array<number> = []
      for (const [i, x] of texts.entries()) alone.push(...(yield* run(steps.slice(i, i + 1), x)))
      const joined = Float32Array.from(texts.flatMap((x) => [...x]))
      // the graph for four texts is loaded while a smaller one serves
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual(yield* run(steps, joined), Float32Array.from(alone))
        yield* Effect.sleep(300)
      }
      const [step = assert.fail()] = steps
      const cut = yield* Effect.promise(() =>
        span.run([{ ...step, position: 1 }], head.embed([7])).then(
          () => undefined,
          (cause: unknown) => cause
        )
      )
      assert.instanceOf(cut, RangeError)
      assert.match(String(cut), /one step/)
    })
  )
})
