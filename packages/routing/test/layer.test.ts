import { assert, describe, it } from "@effect/vitest"
import type { Announcement } from "@swarm/protocol"
import type { RouteRequest, Service } from "@swarm/routing"
import * as Routing from "@swarm/routing"
import { server } from "@swarm/routing/compliance"
import { Effect, TestClock } from "effect"
import { seeded } from "./support.ts"

const request: RouteRequest = { model: "model", blocks: { from: 0, to: 8 }, tokens: 512 }

const make = (announcements: ReadonlyArray<Announcement>, random = seeded(3)): Effect.Effect<Service> =>
  Routing.make({ known: Effect.succeed(() => announcements), random })

const peers = (
  router: Service,
  fields: Partial<RouteRequest> = {}
): Effect.Effect<ReadonlyArray<string>, Routing.NoRoute> =>
  Effect.map(router.route({ ...request, ...fields }), (hops) => hops.map(({ peer }) => peer))

const failed = (detail: string): Routing.Outcome => ({ _tag: "Failed", detail })

describe("layer()", () => {
  it.effect("gives the hops of a chain with addresses and digests", () =>
    Effect.gen(function* () {
      const router = yield* Routing.Router
      const hops = yield* router.route(request)
      assert.deepEqual(hops, [
        { peer: "a", address: "ws://a.test:4000", blocks: { from: 0, to: 4 }, digest: "digest-a" },
        { peer: "b", address: "ws://b.test:4000", blocks: { from: 4, to: 8 }, digest: "digest-b" }
      ])
    }).pipe(Effect.provide(Routing.layer({ known: Effect.succeed(() => [server("a", 0, 4), server("b", 4, 8)]) })))
  )

  it.effect("leaves out peers that join, drain, hold too little, are excluded or of another model, and says why", () =>
    Effect.gen(function* () {
      const router = yield* make([
        server("joins", 0, 8, { state: "joining" }),
        server("drains", 0, 8, { state: "draining" }),
        server("short", 0, 8, { maxTokens: 256 }),
        server("excluded", 0, 8),
        server("nowhere", 0, 8, { addresses: [] }),
        server("other", 0, 8, { model: "another" }),
        server("beyond", 0, 9),
        server("lies", 5, 5)
      ])
      const error = yield* Effect.flip(router.route({ ...request, exclude: ["excluded"] }))
      assert.deepEqual(Object.fromEntries(error.banned.map(({ peer, reason }) => [peer, reason])), {
        joins: "is joining",
        drains: "is draining",
        short: "holds at most 256 tokens a session",
        excluded: "is excluded",
        nowhere: "has no address"
      })
      assert.match(error.message, /^No server for blocks 0:8 \(left out: /)
    })
  )

  it.effect("prefers a slow replacement of equal digest to a fast one, within and beyond its room", () =>
    Effect.gen(function* () {
      const router = yield* make([
        server("fast", 0, 8, { decodeRate: 1e6 }),
        server("twin", 0, 8, { digest: "d", decodeRate: 1, freeTokens: 0 }),
        server("half", 0, 4, { digest: "d" })
      ])
      assert.deepEqual(yield* peers(router), ["fast"])
      assert.deepEqual(yield* peers(router, { digest: "d" }), ["twin"])
      assert.deepEqual(yield* peers(router, { digest: "e" }), ["fast"])
      yield* router.report("twin", { _tag: "Busy", retryAfter: 9 })
      assert.deepEqual(yield* peers(router, { digest: "d" }), ["fast"])
    })
  )

  it.effect("avoids servers without room and with a queue", () =>
    Effect.gen(function* () {
      const router = yield* make([
        server("full", 0, 8, { freeTokens: 511, decodeRate: 1e6 }),
        server("queue", 0, 8, { queue: 40 }),
        server("slow", 0, 8, { decodeRate: 100 })
      ])
      assert.deepEqual(yield* peers(router), ["slow"])
      assert.deepEqual(yield* peers(router, { exclude: ["slow"] }), ["queue"])
      assert.deepEqual(yield* peers(router, { exclude: ["slow", "queue"] }), ["full"])
    })
  )

  it.effect("uses measured round trips, and takes loopback addresses for near", () =>
    Effect.gen(function* () {
      const router = yield* make([
        server("far", 0, 8, { decodeRate: 2000 }),
        server("near", 0, 8, { addresses: ["ws://127.0.0.1:4000"] })
      ])
      assert.deepEqual(yield* peers(router), ["near"])
      yield* router.report("near", { _tag: "RoundTrip", seconds: 0.4 })
      assert.deepEqual(yield* peers(router), ["far"])
      yield* router.report("far", { _tag: "RoundTrip", seconds: 1 })
      assert.deepEqual(yield* peers(router), ["near"])
      yield* router.report("far", { _tag: "RoundTrip", seconds: Number.NaN })
      assert.deepEqual(yield* peers(router), ["near"])
    })
  )

  it.effect("smooths round trips and forgets them after five minutes", () =>
    Effect.gen(function* () {
      const router = yield* make([server("a", 0, 8), server("b", 0, 8)])
      yield* router.report("a", { _tag: "RoundTrip", seconds: 0.1 })
      assert.deepEqual(yield* peers(router), ["a"])
      yield* router.report("b", { _tag: "RoundTrip", seconds: 0.2 })
      // One slow answer of a: 0.1 + 0.2 · (0.5 - 0.1) = 0.18
      yield* router.report("a", { _tag: "RoundTrip", seconds: 0.5 })
      assert.deepEqual(yield* peers(router), ["a"])
      yield* router.report("a", { _tag: "RoundTrip", seconds: 0.5 })
      assert.deepEqual(yield* peers(router), ["b"])
      yield* router.report("b", { _tag: "RoundTrip", seconds: 9 })
      yield* TestClock.adjust("300 seconds")
      yield* router.report("b", { _tag: "RoundTrip", seconds: 1 })
      assert.deepEqual(yield* peers(router), ["a"])
    })
  )

  it.effect("demotes a peer that is much slower than it says, and tries it again later", () =>
    Effect.gen(function* () {
      const servers = [server("boasts", 0, 8, { decodeRate: 800 }), server("honest", 0, 8, { decodeRate: 100 })]
      const said: Array<string> = []
      const router = yield* Routing.make({
        known: Effect.succeed(() => servers),
        onDemotion: (peer, demotion) => said.push(`${peer} ${demotion?.reason}`)
      })
      // 10 ms are promised
      for (let step = 0; step < 4; step++) {
        assert.deepEqual(yield* peers(router), ["boasts"])
        yield* router.report("boasts", { _tag: "Step", seconds: 0.2 })
      }
      yield* router.report("boasts", { _tag: "Step", seconds: 0.2 })
      assert.deepEqual(yield* peers(router), ["honest"])
      for (let step = 0; step < 9; step++) yield* router.report("honest", { _tag: "Step", seconds: 0.08 })
      assert.deepEqual(yield* peers(router), ["honest"])
      assert.deepEqual(yield* peers(router, { exclude: ["honest"] }), ["boasts"])
      yield* TestClock.adjust("120 seconds")
      assert.deepEqual(yield* peers(router), ["boasts"])
      yield* router.report("boasts", { _tag: "Step", seconds: 1 })
      assert.deepEqual(yield* peers(router), ["honest"])
      const reason = "takes 20.0 times as long as it says"
      assert.deepEqual(said.slice(0, 2), [`boasts ${reason}`, "boasts undefined"])
      assert.lengthOf(said, 3)
    })
  )

  it.effect("keeps to the former chain while it is nearly the best", () =>
    Effect.gen(function* () {
      const near = { addresses: ["ws://127.0.0.1:4000"] }
      const router = yield* make([
        server("new", 0, 8, { decodeRate: 1100, ...near }),
        server("old", 0, 8, { decodeRate: 1000, ...near }),
        server("slow", 0, 8, { decodeRate: 500, ...near })
      ])
      const [old, slow] = yield* Effect.forEach(
        [
          ["new", "slow"],
          ["new", "old"]
        ],
        (exclude) => router.route({ ...request, exclude })
      )
      assert.deepEqual(yield* peers(router), ["new"])
      assert.deepEqual(yield* peers(router, { previous: old ?? [] }), ["old"])
      assert.deepEqual(yield* peers(router, { previous: slow ?? [] }), ["new"])
      yield* router.report("old", failed("gone"))
      assert.deepEqual(yield* peers(router, { previous: old ?? [] }), ["new"])
    })
  )

  it.effect("uses parts of spans if the request allows it", () =>
    Effect.gen(function* () {
      const router = yield* make([server("a", 0, 5), server("b", 3, 8)])
      assert.isTrue(yield* Effect.isFailure(router.route(request)))
      for (const goal of ["latency", "throughput"] as const) {
        const hops = yield* router.route({ ...request, partial: true, goal })
        assert.deepEqual(
          hops.map(({ peer, blocks }) => [peer, blocks.from, blocks.to]),
          [
            ["a", 0, 5],
            ["b", 5, 8]
          ]
        )
      }
      assert.deepEqual(yield* peers(router, { blocks: { from: 1, to: 2 }, partial: true }), ["a"])
    })
  )

  it.effect("drops a failed peer at once, for longer each time, until it answers", () =>
    Effect.gen(function* () {
      const router = yield* make([server("a", 0, 8, { decodeRate: 2000 }), server("b", 0, 8)])
      for (const seconds of [5, 10, 20]) {
        assert.deepEqual(yield* peers(router), ["a"])
        yield* router.report("a", failed("gone"))
        yield* TestClock.adjust(`${seconds * 1000 - 1} millis`)
        assert.deepEqual(yield* peers(router), ["b"])
        yield* TestClock.adjust("1 millis")
      }
      yield* router.report("a", failed("gone"))
      yield* router.report("a", { _tag: "Ok" })
      assert.deepEqual(yield* peers(router), ["a"])
    })
  )

  it.effect("routes large steps around a slow line, and small ones not", () =>
    Effect.gen(function* () {
      const router = yield* make([server("a", 0, 8, { decodeRate: 1001 }), server("b", 0, 8)])
      for (const peer of ["a", "b"]) yield* router.report(peer, { _tag: "RoundTrip", seconds: 0.02 })
      yield* router.report("a", { _tag: "Bandwidth", bytesPerSecond: 1e5 })
      yield* router.report("b", { _tag: "Bandwidth", bytesPerSecond: 1e7 })
      assert.deepEqual(yield* peers(router, { bytes: 0 }), ["a"])
      assert.deepEqual(yield* peers(router, { bytes: 32_768 }), ["b"])
      for (const nonsense of [Number.NaN, -1, 0]) {
        yield* router.report("b", { _tag: "Bandwidth", bytesPerSecond: nonsense })
      }
      assert.deepEqual(yield* peers(router, { bytes: 32_768 }), ["b"])
      yield* TestClock.adjust("6 minutes")
      assert.deepEqual(yield* peers(router, { bytes: 32_768 }), ["a"])
    })
  )

  it.effect(
    "tries the only server again soon, then later and later, however long it is banned, unless it is excluded",
    () =>
      Effect.gen(function* () {
        const router = yield* make([server("a", 0, 4), server("b", 4, 8)])
        for (const seconds of [0.25, 0.5, 1, 2, 4, 5, 5]) {
          yield* router.report("b", failed("gone"))
          const error = yield* Effect.flip(router.route(request))
          assert.deepEqual(error.missing, [{ from: 4, to: 8 }])
          assert.deepEqual(error.banned, [{ peer: "b", reason: "failed: gone", seconds }])
          yield* TestClock.adjust(`${1000 * seconds - 1} millis`)
          assert.isTrue(yield* Effect.isFailure(router.route(request)))
          yield* TestClock.adjust("1 millis")
          assert.deepEqual(yield* peers(router), ["a", "b"])
        }
        const error = yield* Effect.flip(router.route({ ...request, exclude: ["b"] }))
        assert.deepEqual(error.banned, [{ peer: "b", reason: "is excluded", seconds: 0 }])
      })
  )

  it.effect("in need takes the one whose ban ends first, and no more banned ones than it must", () =>
    Effect.gen(function* () {
      const router = yield* make([server("a", 0, 4), server("b", 4, 8), server("c", 4, 8), server("d", 0, 8)])
      for (const peer of ["a", "b", "c", "d"]) {
        yield* router.report(peer, failed("gone"))
        yield* TestClock.adjust("5 seconds")
        yield* router.report(peer, failed("gone"))
        yield* TestClock.adjust("5 seconds")
        yield* router.report(peer, failed("gone"))
      }
      yield* router.report("a", { _tag: "Ok" })
      yield* TestClock.adjust("5 seconds")
      // The bans that are left: b 0 s, c 5 s, d 15 s
      assert.deepEqual(yield* peers(router), ["a", "b"])
      assert.deepEqual(yield* peers(router, { exclude: ["b"] }), ["a", "c"])
      assert.deepEqual(yield* peers(router, { exclude: ["b", "c"] }), ["d"])
    })
  )

  it.effect("does not ask a busy peer before its time, even in need", () =>
    Effect.gen(function* () {
      const router = yield* make([server("a", 0, 8)])
      yield* router.report("a", { _tag: "Busy", retryAfter: 30 })
      const error = yield* Effect.flip(router.route(request))
      assert.deepEqual(error.banned, [{ peer: "a", reason: "is busy", seconds: 30 }])
      yield* TestClock.adjust("30 seconds")
      assert.deepEqual(yield* peers(router), ["a"])
    })
  )

  it.effect("shares throughput requests by rate", () =>
    Effect.gen(function* () {
      const router = yield* make([
        server("slow", 0, 4, { prefillRate: 100 }),
        server("quick", 0, 4, { prefillRate: 300 }),
        server("full", 0, 4, { prefillRate: 1e6, freeTokens: 0 }),
        server("blind", 0, 3, { prefillRate: 1e9 }),
        server("rest", 4, 8)
      ])
      const drawn = { slow: 0, quick: 0 }
      for (let i = 0; i < 1000; i++) {
        const [first, second] = yield* peers(router, { goal: "throughput" })
        assert.strictEqual(second, "rest")
        if (first === "slow" || first === "quick") drawn[first]++
        else assert.strictEqual(first, "full")
      }
      assert.isAbove(drawn.slow, 200)
      assert.isBelow(drawn.slow, 300)
      const alone = yield* make([server("full", 0, 8, { freeTokens: 0 })])
      assert.deepEqual(yield* peers(alone, { goal: "throughput" }), ["full"])
      const error = yield* Effect.flip(peers(router, { goal: "throughput", exclude: ["rest"] }))
      assert.deepEqual(error.missing, [{ from: 4, to: 8 }])
    })
  )

  it.effect("takes no harm from numbers that make no sense", () =>
    Effect.gen(function* () {
      const router = yield* make([
        server("a", 0, 8, { decodeRate: Number.NaN, queue: Number.NaN, freeTokens: Number.NaN }),
        server("b", 0, 8, { decodeRate: -1, queue: Number.POSITIVE_INFINITY }),
        server("c", Number.NaN, 8),
        server("d", -8, 8)
      ])
      assert.deepEqual(yield* peers(router), ["b"])
    })
  )
})
