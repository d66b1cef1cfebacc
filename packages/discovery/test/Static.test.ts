import { assert, describe, it } from "@effect/vitest"
import { Discovery, layerStatic, makeStatic } from "@swarm/discovery"
import { layerMemory, layerNetwork } from "@swarm/transport"
import { Effect, Layer } from "effect"
import { announcement, fresh, idOf, makeClient, makePeer, pass, settle, signedBy } from "./support.ts"

describe("makeStatic()", () => {
  it.scoped("merges what several servers serve and know", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* makePeer(fresh("a")), yield* makePeer(fresh("b"))]
      a.directory.setOwn(announcement(a.peer))
      b.directory.setOwn(announcement(b.peer))
      b.directory.announce(signedBy("c").record, { peer: idOf("c"), remote: "memory:c" })
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [a.address, b.address] })
      yield* discovery.refresh
      assert.sameMembers(
        discovery.known().map(({ peer }) => peer),
        [a.peer, b.peer, idOf("c")]
      )
    })
  )

  it.scoped("is content with one answer of two", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"))
      a.directory.setOwn(announcement(a.peer))
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), {
        addresses: ["memory:nowhere", a.address]
      })
      yield* discovery.refresh
      assert.strictEqual(discovery.known().length, 1)
      yield* a.kill
      yield* discovery.refresh
      assert.strictEqual(discovery.known().length, 1)
      yield* pass(31)
      const error = yield* Effect.flip(discovery.refresh)
      assert.deepEqual(error.addresses, ["memory:nowhere", a.address])
      assert.include(error.detail, "memory:nowhere")
    })
  )

  it.scoped("prefers the address that it dialled for that very peer, and mends those of its neighbours", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"), {}, "ws://10.0.0.7:4000")
      a.directory.setOwn(announcement(a.peer, { addresses: ["ws://0.0.0.0:9999", "ws://public.example:4000"] }))
      a.directory.announce(signedBy("b", { addresses: ["ws://127.0.0.1:4001"] }).record, {
        peer: idOf("b"),
        remote: "ws://127.0.0.1:5"
      })
      a.directory.announce(signedBy("c", { addresses: ["ws://0.0.0.0:4001"] }).record, { peer: idOf("c"), remote: "?" })
      a.directory.announce(signedBy("d", { addresses: ["memory:d"] }).record, { peer: idOf("d"), remote: "?" })
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [a.address] })
      yield* discovery.refresh
      assert.deepEqual(Object.fromEntries(discovery.known().map(({ peer, addresses }) => [peer, addresses])), {
        [a.peer]: ["ws://10.0.0.7:4000", "ws://10.0.0.7:9999", "ws://public.example:4000"],
        [idOf("b")]: ["ws://10.0.0.7:4001"],
        [idOf("d")]: ["memory:d"]
      })
    })
  )

  it.scoped("believes a peer about itself, and nobody else; drops it when it serves nothing any more", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"))
      const old = { ...signedBy(a.name, { freeTokens: 7, timeToLive: 500 }), issuedAt: 0, age: 0 }
      const gossip = yield* makePeer(fresh("gossip"), { learned: () => [old] })
      a.directory.setOwn(announcement(a.peer, { freeTokens: 1 }))
      const client = yield* makeClient(fresh("client"))
      const discovery = yield* makeStatic(client, { addresses: [a.address, gossip.address] })
      for (let round = 0; round < 3; round++) {
        yield* discovery.refresh
        assert.deepInclude(discovery.known()[0], { freeTokens: 1 })
      }
      a.directory.setOwn(undefined)
      const alone = yield* makeStatic(client, { addresses: [a.address] })
      a.directory.setOwn(announcement(a.peer))
      yield* alone.refresh
      a.directory.setOwn(undefined)
      yield* alone.refresh
      assert.deepEqual(alone.known(), [])
    })
  )

  it.scoped("keeps to one model", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"))
      a.directory.setOwn(announcement(a.peer, { model: "n" }))
      a.directory.announce(signedBy("b").record, { peer: idOf("b"), remote: "?" })
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [a.address], model: "m" })
      yield* discovery.refresh
      assert.deepEqual(
        discovery.known().map(({ peer }) => peer),
        [idOf("b")]
      )
    })
  )

  it.scoped("asks again every 10 s while somebody reads, and not otherwise", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"))
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [a.address] })
      yield* pass(60)
      assert.deepEqual(a.received, [])
      discovery.known()
      yield* pass(60)
      assert.deepEqual(a.received, ["find"])
      for (let second = 0; second < 60; second++) {
        discovery.known()
        yield* pass(1)
      }
      assert.strictEqual(a.received.length, 7)
    })
  )

  it.scoped("shares one question among all who refresh at once, also if one of them gives up", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"))
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [a.address] })
      const first = yield* Effect.fork(discovery.refresh)
      const second = yield* Effect.fork(discovery.refresh)
      yield* Effect.yieldNow()
      yield* first.interruptAsFork(second.id())
      yield* second.await
      yield* settle
      assert.deepEqual(a.received, ["find"])
      yield* discovery.refresh
      assert.deepEqual(a.received, ["find", "find"])
    })
  )

  it.scoped("cuts lifetimes that are too long", () =>
    Effect.gen(function* () {
      const a = yield* makePeer(fresh("a"))
      a.directory.setOwn(announcement(a.peer, { timeToLive: 1e6 }))
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), {
        addresses: [a.address],
        maxTimeToLive: 60
      })
      yield* discovery.refresh
      assert.isAtMost(discovery.known()[0]?.timeToLive ?? 0, 60)
    })
  )
})

describe("layerStatic()", () => {
  it.effect("is discovery over a network", () =>
    Effect.gen(function* () {
      const discovery = yield* Discovery
      const error = yield* Effect.flip(discovery.refresh)
      assert.deepEqual(error.addresses, ["memory:nowhere"])
    }).pipe(
      Effect.provide(
        layerStatic({ addresses: ["memory:nowhere"] }).pipe(
          Layer.provide(layerNetwork({ software: "test" })),
          Layer.provide(layerMemory)
        )
      )
    )
  )
})
