/**
 * SmolLM2 as a GPTQ checkpoint with act-order, over one and three ranks: the same ids, and the bytes that were predicted.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { localPipeline } from "@swarm/client"
import { type GroupEvent, hostRank, loadHead, loadParallelSpan, loadSpan, predictRun } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { openSafetensors } from "@swarm/tensor"
import { layerMemory } from "@swarm/transport"
import { Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { greedy } from "./support/fixtureModels.ts"
import { gptqOf } from "./support/gptqOf.ts"
import { smollm2 } from "./support/smollm2.ts"
import { integers } from "./support/tensors.ts"

const EXACT = { activations: "f32" } as const
const TOKENS = 24

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-gptq-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

if (smollm2 === undefined) describe.skip("SmolLM2 over ranks (the model is not there)", () => it.todo("all of it"))
else
  layer(Layer.mergeAll(Engine.layer, layerMemory), { excludeTestServices: true })("SmolLM2 over ranks", (it) => {
    it.scoped(
      "GPTQ with act-order: three ranks write what one writes, and send what was predicted",
      () =>
        Effect.gen(function* () {
          const folder = yield* temporary
          const weightFolder = yield* temporary
          gptqOf(smollm2 ?? "", (yield* openModel(smollm2 ?? "")).architecture, folder, 64)
          const model = yield* openModel(folder)
          const head = yield* loadHead(model, { ...EXACT, weightFolder })
          const expected = openSafetensors(path.join(import.meta.dirname, "fixtures/smollm2/expected.safetensors"))
          const prompt = integers(expected, "story.ids").slice(0, 24)

          const whole = yield* loadSpan(model, 0, model.blocks, { ...EXACT, weightFolder })
          const wanted = yield* Effect.promise(() =>
            greedy(localPipeline([whole], prompt.length + TOKENS), head, prompt, TOKENS)
          )
          assert.isAbove(new Set(wanted).size, TOKENS / 4, "a text, not one word again and again")

          const events: Array<GroupEvent> = []
          const hosts = yield* Effect.forEach([1, 2], () =>
            hostRank(model, { listen: "memory:", weightFolder, onGroup: (event) => events.push(event) })
          )
          const ranks = hosts.map(({ address }) => address)
          const span = yield* loadParallelSpan(model, 0, model.blocks, { ...EXACT, ranks, weightFolder })
          const groups = events.flatMap((event) => (event.kind === "begun" ? [event] : []))
          const traffic = () => [
            span.traffic(),
            ...[1, 2].map((rank) => groups.find((event) => event.rank === rank)?.group.traffic())
          ]
          const before = traffic()
          const got = yield* Effect.promise(() =>
            greedy(localPipeline([span], prompt.length + TOKENS), head, prompt, TOKENS)
          )
          assert.deepStrictEqual(got, wanted)

          const shape = { ranks: 3, blocks: model.blocks, hiddenSize: model.hiddenSize }
          const after = traffic()
          for (const rank of [0, 1, 2]) {
            const [prefill, token] = [predictRun(shape, rank, prompt.length), predictRun(shape, rank, 1)]
            const sent = (after[rank]?.bytes ?? 0) - (before[rank]?.bytes ?? 0)
            // opening the cache: two words to each other rank
            const cache = rank === 0 ? 2 * 2 * 4 : 0
            assert.strictEqual(sent - cache, prefill.bytes + (TOKENS - 1) * token.bytes, `rank ${rank}`)
          }
          console.log(
            `bytes a token at three ranks: ${[0, 1, 2].map((rank) => predictRun(shape, rank, 1).bytes).join(", ")}`
          )
        }),
      300_000
    )
  })
