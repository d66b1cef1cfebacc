/**
 * What clients measure decides their next route: round trips, and servers that become slow.
 */
import { assert, describe, it } from "@effect/vitest"
import { makeTestSwarm, oracleSpan } from "@swarm/testing"
import { Effect } from "effect"
import { prompt, run } from "./support/oracles.ts"

describe("a client's router", () => {
  it.scopedLive("leaves a server that has become slow, in a chain of three, and only that", () =>
    Effect.gen(function* () {
      const swarm = yield* makeTestSwarm({ blocks: 12 })
      let slow = false
      const start = (from: number, to: number, before?: () => Promise<void>) =>
        swarm.start(oracleSpan({ from, to, ...(before === undefined ? {} : { before }) }))
      const spare = yield* start(4, 8, () => new Promise((resolve) => setTimeout(resolve, 40)))
      yield* start(0, 4)
      const middle = yield* start(4, 8, () => new Promise((resolve) => setTimeout(resolve, slow ? 150 : 1)))
      yield* start(8, 12)
      const client = yield* swarm.client
      const ids = prompt(3, 8)
      const route = (tokens: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const chain = yield* client.open({ model: swarm.model, maxTokens: 128, codec: "f32" })
            yield* Effect.promise(() => run(chain, ids, tokens))
            return chain.route().map(({ peer }) => peer)
          })
        )
      const before = yield* route(2)
      assert.include(before, middle.server.peer)
      slow = true
      assert.deepEqual(yield* route(30), before)
      const after = yield* route(2)
      assert.notInclude(after, middle.server.peer)
      assert.include(after, spare.server.peer)
      assert.deepEqual([after[0], after[2]], [before[0], before[2]])
    })
  )
})
