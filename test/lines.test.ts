/**
 * What a client learns by its sessions, later ones are routed by: the speed of lines, and the chain before.
 */
import { assert, it } from "@effect/vitest"
import type { RouteRequest } from "@swarm/routing"
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { makeLink } from "@swarm/transport"
import { Effect } from "effect"
import { describe } from "vitest"

const HIDDEN = 4096

describe("a client of two replicas", () => {
  it.scopedLive("leaves the quicker one, the line to which turns out slow", () =>
    Effect.gen(function* () {
      const swarm = yield* makeTestSwarm({ blocks: 8, hiddenSize: HIDDEN })
      const whole = { from: 0, to: 8, hiddenSize: HIDDEN }
      const quick = yield* swarm.start(oracleSpan(whole), { listen: "memory:lines-quick" })
      const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 5))
      const slow = yield* swarm.start(oracleSpan({ ...whole, before: pause }), { listen: "memory:lines-slow" })
      const { wrap } = makeLink({ bandwidth: 1e6 })
      const requests: Array<RouteRequest> = []
      const client = yield* swarm.clientOver(
        (carrier) => {
          const narrow = wrap(carrier)
          return {
            ...carrier,
            dial: (address) => (address === "memory:lines-quick" ? narrow : carrier).dial(address)
          }
        },
        (router) => ({
          ...router,
          route: (request) => {
            requests.push(request)
            return router.route(request)
          }
        })
      )
      const open = client.open({ model: swarm.model, maxTokens: 256 })
      const first = yield* open
      assert.strictEqual(first.route()[0]?.peer, quick.server.peer)
      const prompt = oracleHead(HIDDEN).embed(Array.from({ length: 64 }, (_, id) => id))
      const rows = yield* Effect.promise(() => first.forward(prompt, "last"))
      assert.strictEqual(rows.length, HIDDEN)
      const chosen = Effect.scoped(Effect.map(open, (chain) => chain.route()[0]?.peer))
      let last = yield* chosen
      for (let tries = 0; last !== slow.server.peer && tries < 200; tries++) last = yield* chosen
      assert.strictEqual(last, slow.server.peer)
      assert.isUndefined(requests[0]?.previous)
      assert.deepStrictEqual(requests[1]?.previous, first.route())
    })
  )
})
