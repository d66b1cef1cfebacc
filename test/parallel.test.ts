/**
 * Fixtures with outputs computed by ranks of a group, against what transformers gave in float64 (f32 activations): heads
 * cut and key heads repeated, act-order GPTQ folded or sorted on each rank.
 */
import { assert, layer } from "@effect/vitest"
import { localPipeline } from "@swarm/client"
import { hostRank, loadHead, loadParallelSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { type Model, openModel, Unsupported } from "@swarm/model"
import { PlanError } from "@swarm/tp-kernels"
import { layerMemory } from "@swarm/transport"
import { Effect, Layer } from "effect"
import { expectedOf, feed, fixtureModels, greedy } from "./support/fixtureModels.ts"
import { worst } from "./support/tensors.ts"

const TOLERANCE = 1e-4
const EXACT = { activations: "f32" } as const
/** 8 heads and 4 key heads: at 8 ranks, two ranks hold the same key head. */
const CASES: ReadonlyArray<readonly [fixture: RegExp, ranks: ReadonlyArray<number>]> = [
  [/gptq-4bit-(g32-act-sym|g32-act-asym|column-act)/, [2, 4, 8]],
  [/gptq-(3bit|4bit-g32-v2|8bit|4bit-g64)/, [2]],
  [/^(llama|qwen3)$/, [2, 4]],
  [/gguf q4_1/, [2, 4]],
  // every other family that ranks can compute
  [/^[^ ]+$/, [2]]
]

/** Experts, encoders, linear position biases, norms over all heads. */
const NOT_FOR_RANKS = /moe|mixtral|bert|bloom|falcon-rw|falcon-alibi|olmo2/

/** Undefined: not for ranks at all. */
const divides = (model: Model, ranks: number): boolean | undefined => {
  try {
    model.span(0, 1, { ...EXACT, shard: { rank: 0, ranks } })
    return true
  } catch (cause) {
    if (cause instanceof PlanError) return false
    if (cause instanceof Unsupported) return undefined
    throw cause
  }
}

layer(Layer.mergeAll(Engine.layer, layerMemory), { excludeTestServices: true })("fixtures over ranks", (it) => {
  for (const fixture of fixtureModels) {
    const counts = CASES.find(([pattern]) => pattern.test(fixture.name))?.[1] ?? []
    if (counts.length === 0) continue
    it.scoped(
      `${fixture.name} at ${counts.join(", ")} ranks`,
      () =>
        Effect.gen(function* () {
          const model = yield* openModel(fixture.model)
          if (divides(model, 2) === undefined) return assert.match(fixture.name, NOT_FOR_RANKS)
          const { ids, logits, greedyIds } = expectedOf(fixture, model.blocks)
          const head = yield* loadHead(model, EXACT)
          const ran: Array<number> = []
          for (const count of counts.filter((ranks) => divides(model, ranks))) {
            const hosts = yield* Effect.forEach(Array.from({ length: count - 1 }), () =>
              hostRank(model, { listen: "memory:" })
            )
            const ranks = hosts.map(({ address }) => address)
            const span = yield* loadParallelSpan(model, 0, model.blocks, { ...EXACT, ranks, maxSessions: 1 })
            const pipeline = () => localPipeline([span], ids.length + greedyIds.length)
            const whole = yield* Effect.promise(() => feed(pipeline(), head, ids, ids.length))
            const got = yield* Effect.promise(() => head.logits(whole))
            assert.isAtMost(worst(got, logits), TOLERANCE, `logits at ${count} ranks`)
            const cut = yield* Effect.promise(() => feed(pipeline(), head, ids, 7))
            assert.deepStrictEqual(cut, whole, "chunks of 7 to the bit")
            const written = yield* Effect.promise(() => greedy(pipeline(), head, ids, greedyIds.length))
            assert.deepStrictEqual(written, greedyIds, `at ${count} ranks`)
            ran.push(count)
          }
          assert.notStrictEqual(ran.length, 0)
        }),
      60_000
    )
  }

  it.effect("what a rank holds as floats because blocks reach over its edge is said", () =>
    Effect.gen(function* () {
      const fixture = fixtureModels.find(({ name }) => name === "gguf q4_k")
      const model = yield* openModel(fixture?.model ?? "")
      const notes = (ranks: number) =>
        model.span(0, 1, ranks === 1 ? {} : { shard: { rank: 0, ranks } }).notes.map((note) => note.slice(0, 16))
      assert.deepStrictEqual(notes(1), [])
      assert.deepStrictEqual(notes(2), ["Q4_K held as f32"])
    })
  )
})
