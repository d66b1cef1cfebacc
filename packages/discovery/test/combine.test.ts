import { assert, describe, it } from "@effect/vitest"
import { combine, makeBootstrap, makeStatic } from "@swarm/discovery"
import * as compliance from "@swarm/discovery/compliance"
import { Effect, Scope } from "effect"
import { fresh, makeClient, makePeer, signedBy } from "./support.ts"

compliance.discovery({
  name: "two discoveries, one of them lost,",
  swarm: Effect.gen(function* () {
    const directory = yield* makePeer(fresh("directory"))
    const server = yield* makePeer(fresh("server"))
    const both = (network: typeof server.network) =>
      Effect.map(
        Effect.all([
          makeStatic(network, { addresses: ["memory:nowhere"] }),
          makeBootstrap(network, { addresses: [directory.address] })
        ]),
        ([one, other]) => combine([one, other])
      )
    const announcer = yield* Scope.extend(both(server.network), server.scope)
    const seeker = yield* both(yield* makeClient(fresh("client")))
    return { peer: server.peer, announcer, seeker, vanish: server.kill }
  }),
  lost: Effect.map(
    Effect.flatMap(makeClient(fresh("client")), (network) => makeStatic(network, { addresses: ["memory:nowhere"] })),
    (lost) => combine([lost, lost])
  )
})

describe("combine()", () => {
  it.scoped("knows the newer of what two say of a peer", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* makePeer(fresh("a")), yield* makePeer(fresh("b"))]
      const [older, newer] = [signedBy("server", { freeTokens: 1 }), signedBy("server", { freeTokens: 2 })]
      const { peer } = older.announcement
      a.directory.announce(newer.record, { peer, remote: "?" })
      b.directory.announce(older.record, { peer, remote: "?" })
      const client = yield* makeClient(fresh("client"))
      const [one, other] = [
        yield* makeStatic(client, { addresses: [a.address] }),
        yield* makeStatic(client, { addresses: [b.address] })
      ]
      for (const both of [combine([one, other]), combine([other, one])]) {
        yield* both.refresh
        assert.deepEqual(
          both.known().map(({ freeTokens }) => freeTokens),
          [2]
        )
      }
    })
  )
})
