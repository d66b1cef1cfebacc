import { assert, describe, it } from "@effect/vitest"
import { makeWatch, reachable } from "@swarm/discovery"
import { Effect } from "effect"
import { fresh, makeClient, makePeer, pass, signedBy } from "./support.ts"

/** What a server says of itself, as somebody heard it. */
const heardOf = (name: string, address: string, issuedAt: number) => {
  const { announcement, record } = signedBy(name, { addresses: [address] })
  return { announcement, record, issuedAt, age: 0 }
}

describe("a watch", () => {
  it.scoped("knows who ends without a goodbye, until it speaks again; who was never reached is not lost", () =>
    Effect.gen(function* () {
      const names = ["a", "b"].map(fresh)
      const [a, b] = [yield* makePeer(names[0] ?? ""), yield* makePeer(names[1] ?? "")]
      const said = [
        heardOf(names[0] ?? "", a.address, 1),
        heardOf(names[1] ?? "", b.address, 1),
        heardOf("nobody", "memory:nowhere", 1)
      ] as const
      const network = yield* makeClient(fresh("client"))
      const watch = yield* makeWatch(network, { heard: () => said })
      yield* pass(2)
      assert.deepEqual(said.map(watch.isLost), [false, false, false])
      yield* a.kill
      yield* pass(2)
      assert.deepEqual(said.map(watch.isLost), [true, false, false])
      assert.isFalse(watch.isLost({ ...said[0], issuedAt: 2 }))
      const there = yield* reachable(
        network,
        said.map(({ announcement }) => announcement)
      )
      assert.deepEqual(
        there.map(({ peer }) => peer),
        [said[1].announcement.peer]
      )
    })
  )
})
