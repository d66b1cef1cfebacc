/**
 * A chain survives any server, in any phase, with the same outputs: shown with the position oracle in memory.
 */
import { assert, it } from "@effect/vitest"
import type { ChainEvent } from "@swarm/client"
import { makeTestSwarm } from "@swarm/testing"
import { Effect } from "effect"
import { describe } from "vitest"
import { prompt, run, serving, startAll, undisturbed } from "./support/oracles.ts"

describe("a chain of three", () => {
  it.scopedLive("gives what one process gives", () =>
    Effect.gen(function* () {
      const swarm = yield* makeTestSwarm({ blocks: 12 })
      yield* startAll(swarm, 1)
      const client = yield* swarm.client
      const ids = prompt(1, 300)
      const expected = yield* Effect.promise(() => undisturbed(ids, 20))
      const chain = yield* client.open({ model: swarm.model, maxTokens: 512 })
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 20)), expected)
      assert.strictEqual(chain.recoveries(), 0)
    })
  )

  for (const hop of [0, 1, 2]) {
    it.scopedLive(`survives the death of hop ${hop} between tokens`, () =>
      Effect.gen(function* () {
        const swarm = yield* makeTestSwarm({ blocks: 12 })
        const servers = yield* startAll(swarm, 2)
        const client = yield* swarm.client
        const events: Array<ChainEvent> = []
        const ids = prompt(2, 77)
        const expected = yield* Effect.promise(() => undisturbed(ids, 24))
        const chain = yield* client.open({ model: swarm.model, maxTokens: 512, onEvent: (event) => events.push(event) })
        const kill = async (token: number) => {
          if (token === 9) await Effect.runPromise(serving(servers, chain, hop).kill)
        }
        assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 24, kill)), expected)
        assert.strictEqual(chain.recoveries(), 1)
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag).filter((tag) => tag !== "FailureSeen"),
          ["Opened", "ReplacementChosen", "Replayed", "Resumed"]
        )
      })
    )
  }
})
