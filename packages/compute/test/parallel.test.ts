/**
 * Spans over ranks in this process: the same results as one rank, counted bytes, losses.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import {
  type GroupEvent,
  hostRank,
  loadHead,
  loadParallelSpan,
  loadSpan,
  predictRun,
  probeRows,
  type Span,
  type SpanOptions
} from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { type Model, openModel } from "@swarm/model"
import { layerMemory } from "@swarm/transport"
import { Effect, Exit, Layer, Scope } from "effect"

const EXACT = { weights: "f32", activations: "f32" } as const

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-parallel-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

const hosts = (model: Model, count: number, events: Array<GroupEvent> = []) =>
  Effect.forEach(Array.from({ length: count }), () =>
    Effect.gen(function* () {
      const weightFolder = yield* temporary
      return (yield* hostRank(model, { listen: "memory:", weightFolder, onGroup: (event) => events.push(event) }))
        .address
    })
  )

/** Greedy ids of one session. */
const greedy = (model: Model, span: Span, prompt: ReadonlyArray<number>, count: number) =>
  Effect.gen(function* () {
    const head = yield* loadHead(model, { ...EXACT, weightFolder: yield* temporary })
    return yield* Effect.promise(async () => {
      const kv = span.open(prompt.length + count)
      const ids: Array<number> = []
      let rows = await span.run([{ kv, position: 0, tokens: prompt.length }], head.embed(prompt))
      for (let position = prompt.length; ; position++) {
        const logits = await head.logits(rows.slice(-span.hiddenSize))
        ids.push(logits.indexOf(Math.max(...logits)))
        if (ids.length === count) break
        rows = await span.run([{ kv, position, tokens: 1 }], head.embed(ids.slice(-1)))
      }
      kv.free()
      return ids
    })
  })

const equal = (a: Float32Array, b: Float32Array) =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength))

layer(Layer.mergeAll(Engine.layer, layerMemory), { excludeTestServices: true })("ranks", (it) => {
  it.scoped("two ranks write what one writes", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const ranks = yield* hosts(model, 1)
      const whole = yield* loadSpan(model, 0, 8, { ...EXACT, weightFolder: yield* temporary })
      const span = yield* loadParallelSpan(model, 0, 8, { ...EXACT, ranks, weightFolder: yield* temporary })
      const prompt = [1, 5, 9, 200, 77, 31]
      assert.deepStrictEqual(yield* greedy(model, span, prompt, 24), yield* greedy(model, whole, prompt, 24))
    })
  )

  it.scoped("sessions that share runs get the rows that they get alone, with int8 activations too", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const ranks = yield* hosts(model, 1)
      const span = yield* loadParallelSpan(model, 2, 5, { weights: "q4", ranks, weightFolder: yield* temporary })
      assert.isTrue(span.reproducible)
      const x = probeRows(9, span.hiddenSize)
      const rows = (from: number, to: number) => x.slice(from * span.hiddenSize, to * span.hiddenSize)
      yield* Effect.promise(async () => {
        const alone = span.open(9)
        const wanted = await span.run([{ kv: alone, position: 0, tokens: 9 }], x)
        // the graphs for several sessions are loaded when they are first wanted
        for (let round = 0; round < 8; round++) {
          const kvs = [span.open(9), span.open(9), span.open(9)]
          const prompts = new Float32Array(3 * 8 * span.hiddenSize)
          for (let i = 0; i < 3; i++) prompts.set(rows(0, 8), i * 8 * span.hiddenSize)
          await span.run(
            kvs.map((kv) => ({ kv, position: 0, tokens: 8 })),
            prompts
          )
          const last = new Float32Array(3 * span.hiddenSize)
          for (let i = 0; i < 3; i++) last.set(rows(8, 9), i * span.hiddenSize)
          const y = await span.run(
            kvs.map((kv) => ({ kv, position: 8, tokens: 1 })),
            last
          )
          for (let i = 0; i < 3; i++) {
            const row = y.subarray(i * span.hiddenSize, (i + 1) * span.hiddenSize)
            assert.isTrue(equal(row, wanted.subarray(8 * span.hiddenSize)), `round ${round}, session ${i}`)
          }
          for (const kv of kvs) kv.free()
        }
        alone.free()
      })
    })
  )

  it.scoped("bytes, messages and rounds of each rank are those predicted", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const events: Array<GroupEvent> = []
      const ranks = yield* hosts(model, 1, events)
      const span = yield* loadParallelSpan(model, 0, 8, { ...EXACT, ranks, weightFolder: yield* temporary })
      const [begun] = events
      if (begun?.kind !== "begun") throw new Error("the rank has not begun")
      const shape = { ranks: 2, blocks: 8, hiddenSize: span.hiddenSize }
      const kv = span.open(200)
      const x = probeRows(130, span.hiddenSize)
      let position = 0
      for (const tokens of [1, 130, 1, 7]) {
        const before = [span.traffic(), begun.group.traffic()]
        const rows = x.slice(0, tokens * span.hiddenSize)
        yield* Effect.promise(() => span.run([{ kv, position, tokens }], rows))
        position += tokens
        const after = [span.traffic(), begun.group.traffic()]
        for (const rank of [0, 1]) {
          const { bytes, messages, steps } = predictRun(shape, rank, tokens)
          assert.deepStrictEqual(after[rank], {
            bytes: (before[rank]?.bytes ?? 0) + bytes,
            messages: (before[rank]?.messages ?? 0) + messages,
            steps: (before[rank]?.steps ?? 0) + steps
          })
        }
      }
      // one token: two sums of a row in each block, and the row itself with five words before it
      const row = 4 * span.hiddenSize
      assert.deepInclude(predictRun(shape, 0, 1), { bytes: 16 * row + row + 20 })
      assert.deepInclude(predictRun(shape, 1, 1), { bytes: 16 * row })
      kv.free()
    })
  )

  it.scoped("a rank serves one group after the other, and one at a time", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const events: Array<GroupEvent> = []
      const ranks = yield* hosts(model, 1, events)
      const weightFolder = yield* temporary
      const load = loadParallelSpan(model, 0, 1, { ranks, weightFolder })
      const digests: Array<string> = []
      for (let i = 0; i < 2; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            digests.push((yield* load).digest)
            const refused = yield* Effect.flip(load)
            assert.deepInclude(refused, { _tag: "GroupFailed", rank: 1 })
            assert.include(refused.message, "another group")
          })
        )
        while (events.length < 2 * (i + 1)) yield* Effect.sleep(5)
      }
      assert.strictEqual(digests[0], digests[1])
      assert.deepStrictEqual(
        events.map(({ kind }) => kind),
        ["begun", "ended", "begun", "ended"]
      )
      assert.isTrue(events.every((event) => event.kind === "begun" || event.cause === undefined))
    })
  )

  it.scoped("a rank that goes in the middle of a run is a fault, and so is every run after it", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const scope = yield* Scope.make()
      const ranks = yield* Scope.extend(hosts(model, 1), scope)
      const span = yield* loadParallelSpan(model, 0, 8, { ranks, weightFolder: yield* temporary })
      const kv = span.open(300)
      const run = (position: number) =>
        span.run([{ kv, position, tokens: 100 }], probeRows(100, span.hiddenSize)).then(
          () => "ran",
          (cause: unknown) => cause
        )
      assert.strictEqual(yield* Effect.promise(() => run(0)), "ran")
      const running = run(100)
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* Effect.promise(() => running), { _tag: "RankLost", rank: 1 })
      assert.deepInclude(yield* Effect.promise(() => run(100)), { _tag: "RankLost", rank: 1 })
      assert.deepInclude(yield* Effect.promise(() => span.lost), { _tag: "GroupFailed", rank: 1 })
    })
  )

  it.scoped("what cannot work is refused with the reason", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const weightFolder = yield* temporary
      const load = (ranks: ReadonlyArray<string>, options: SpanOptions = {}) =>
        Effect.flip(Effect.scoped(loadParallelSpan(model, 0, 1, { ...options, ranks, weightFolder })))
      const nobody = (count: number) => Array.from({ length: count }, (_, i) => `memory:nobody${i}`)
      // 6 heads, 2 key heads, 512 features
      assert.deepInclude(yield* load(nobody(3)), { _tag: "PlanError", reason: "ranks" })
      assert.include((yield* load(nobody(2))).message, "2 key heads for 3 ranks")
      assert.include((yield* load(nobody(5))).message, "512 features for 6 ranks")
      assert.deepInclude(yield* load(nobody(1)), { _tag: "GroupFailed", rank: 1 })
      const other: Model = { ...model, digest: "another" }
      assert.include((yield* load(yield* hosts(other, 1))).message, "other weights")
    })
  )
})
