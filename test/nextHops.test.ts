/**
 * The way from server to server is measured by servers, announced, and routed by.
 */
import { assert, it } from "@effect/vitest"
import { type Line, makeTestSwarm, oracleSpan } from "@swarm/testing"
import { makeLink } from "@swarm/transport"
import { Effect } from "effect"
import { describe } from "vitest"

/** A line on which some addresses are far away. */
const farFrom = (...addresses: ReadonlyArray<string>): Line => {
  const { wrap } = makeLink({ latency: "30 millis" })
  return (carrier) => {
    const far = wrap(carrier)
    return { ...carrier, dial: (address) => (addresses.includes(address) ? far : carrier).dial(address) }
  }
}

describe("a client as far from one replica as from the other", () => {
  for (const [near, far] of [
    ["one", "other"],
    ["other", "one"]
  ] as const) {
    it.scopedLive(`takes "${near}", to which the server before it is nearer`, () =>
      Effect.gen(function* () {
        const swarm = yield* makeTestSwarm({ blocks: 8 })
        const addressOf = (name: string) => `memory:next-hops-${near}-${name}`
        const replicas = {
          one: yield* swarm.start(oracleSpan({ from: 4, to: 8 }), { listen: addressOf("one") }),
          other: yield* swarm.start(oracleSpan({ from: 4, to: 8 }), { listen: addressOf("other") })
        }
        const first = oracleSpan({ from: 0, to: 4 })
        const { server } = yield* swarm.start(first, { listen: addressOf("first") }, farFrom(addressOf(far)))
        const announced = () => server.announcement().nextHops ?? []
        while (announced().length < 2) yield* Effect.sleep(5)
        assert.strictEqual(announced()[0]?.peer, replicas[near].server.peer)
        const client = yield* swarm.clientOver(farFrom(addressOf("one"), addressOf("other"), addressOf("first")))
        const chosen = Effect.map(
          Effect.scoped(client.open({ model: swarm.model, maxTokens: 64 })),
          (chain) => chain.route()[1]?.peer
        )
        // a chain that is opened measures how far away its servers are; later ones are routed by that
        let last = yield* chosen
        for (let tries = 0; last !== replicas[near].server.peer && tries < 100; tries++) last = yield* chosen
        for (let again = 0; again < 3; again++) assert.strictEqual(yield* chosen, replicas[near].server.peer)
      })
    )
  }
})
