/**
 * Sends that fail with a given probability: the setting of PETALS' Table 1, on `tiny` and for a few seconds.
 */
import { assert, it } from "@effect/vitest"
import { layer as layerEngine } from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect } from "effect"
import { describe } from "vitest"
import { makeLossySwarm } from "../bench/support/lossySwarm.ts"

const TOKENS = 48

describe("with one send in a hundred lost", () => {
  it.scopedLive("recovery gives the ids of an undisturbed run, for fewer sends than restarts", () =>
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      const cuts = [0, 2, 4, 6, 8]
      const swarm = yield* makeLossySwarm({ model, cuts, replicas: 4, latency: 0, maxTokens: 128, seed: 3 })
      const prompt = model.tokenizer().encode("Once upon a time")
      const run = (way: "recovery" | "restart", probability: number) =>
        Effect.promise(() => {
          swarm.fail(probability)
          return swarm.generate(way, prompt, TOKENS)
        })
      const undisturbed = yield* run("recovery", 0)
      assert.strictEqual(undisturbed.sends, 5 * TOKENS)
      const recovered = yield* Effect.replicateEffect(run("recovery", 0.01), 6)
      const restarted = yield* Effect.replicateEffect(run("restart", 0.01), 3)
      for (const { ids } of [...recovered, ...restarted]) assert.deepStrictEqual(ids, undisturbed.ids)
      const total = (field: "sends" | "failures" | "restarts", of: ReadonlyArray<(typeof recovered)[number]>) =>
        of.reduce((sum, generation) => sum + generation[field], 0)
      assert.isAtLeast(total("failures", recovered), 3)
      assert.isAtLeast(total("restarts", restarted), 3)
      assert.isBelow(total("sends", recovered), total("sends", restarted))
    }).pipe(Effect.provide(layerEngine))
  )
})
