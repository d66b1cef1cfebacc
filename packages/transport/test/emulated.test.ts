import { assert, describe, it } from "@effect/vitest"
import { emulated, type LinkOptions, layerMemory, makeLink, type Transport } from "@swarm/transport"
import { openEnds, received } from "@swarm/transport/compliance"
import { Effect } from "effect"

const message = (n: number, bytes = 1): Uint8Array => new Uint8Array(bytes).fill(n)

const over = (options: LinkOptions) => {
  const link = makeLink(options)
  return { link, provide: Effect.provide(layerMemory.pipe(emulated(link))) }
}

describe("an emulated link", () => {
  it.scopedLive("delays each direction by the latency and never less", () => {
    const { provide } = over({ latency: "30 millis", jitter: "10 millis" })
    return Effect.gen(function* () {
      const { near, far } = yield* openEnds("memory:")
      far.receive((m) => far.send(m))
      const answer = received(near, 1)
      const started = performance.now()
      near.send(message(1))
      yield* Effect.promise(() => answer)
      assert.isAtLeast(performance.now() - started, 60)
    }).pipe(provide)
  })

  it.scopedLive("carries no more than its bandwidth", () => {
    const { provide } = over({ bandwidth: 1e6 })
    return Effect.gen(function* () {
      const { near, far } = yield* openEnds("memory:")
      const arrived = received(far, 10)
      const started = performance.now()
      for (let i = 0; i < 10; i++) near.send(message(i, 10_000))
      assert.isAtLeast(near.buffered(), 90_000)
      yield* Effect.promise(() => arrived)
      assert.isAtLeast(performance.now() - started, 98)
    }).pipe(provide)
  })

  it.scopedLive("stalls, then carries on in order", () => {
    const { provide } = over({ stall: { every: "10 millis", duration: "40 millis" }, seed: 3 })
    return Effect.gen(function* () {
      const { near, far } = yield* openEnds("memory:")
      const arrivals: Array<number> = []
      const order: Array<number> = []
      far.receive((m) => {
        order.push(m[0] ?? -1)
        arrivals.push(performance.now())
      })
      for (let i = 0; i < 100; i++) {
        near.send(message(i))
        yield* Effect.sleep("2 millis")
      }
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(
        order,
        Array.from({ length: 100 }, (_, i) => i)
      )
      const gaps = arrivals.map((at, i) => at - (arrivals[i - 1] ?? at))
      assert.isAtLeast(Math.max(...gaps), 30)
    }).pipe(provide)
  })

  it.scopedLive("breaks an ordered channel at a lost message, at both ends", () => {
    const { provide } = over({ loss: 0.2, seed: 5 })
    return Effect.gen(function* () {
      const { near, far } = yield* openEnds("memory:")
      const got: Array<number> = []
      far.receive((m) => got.push(m[0] ?? -1))
      let sent = 0
      while (near.send(message(sent))) sent++
      const closed = yield* Effect.promise(() => Promise.all([near.closed, far.closed]))
      assert.deepStrictEqual([closed[0].reason, closed[1].reason], ["lost", "lost"])
      assert.deepStrictEqual(
        got,
        Array.from({ length: sent }, (_, i) => i)
      )
    }).pipe(provide)
  })

  it.scopedLive("loses messages silently if it is to, the same ones for the same seed", () =>
    Effect.gen(function* () {
      const run = (seed: number) => {
        const { provide } = over({ loss: 0.3, lossy: true, seed })
        return Effect.gen(function* () {
          const { near, far } = yield* openEnds("memory:")
          const got: Array<number> = []
          far.receive((m) => got.push(m[0] ?? -1))
          for (let i = 0; i < 200; i++) assert.isTrue(near.send(message(i)))
          yield* Effect.sleep("20 millis")
          return got
        }).pipe(provide, Effect.scoped)
      }
      const first = yield* run(7)
      assert.isTrue(first.length > 100 && first.length < 180, `${first.length} of 200 arrived`)
      assert.deepStrictEqual(yield* run(7), first)
      assert.notDeepEqual(yield* run(8), first)
    })
  )

  it.scopedLive("refuses dials", () => {
    const { provide } = over({ refusal: 1 })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(openEnds("memory:")) as Effect.Effect<unknown, never, Transport>
      assert.deepInclude(error, { _tag: "DialError", reason: "refused" })
    }).pipe(provide)
  })

  it.scopedLive("holds everything while it is cut, both ways, and delivers it when it is healed", () => {
    const { link, provide } = over({})
    return Effect.gen(function* () {
      const { transport, near, far } = yield* openEnds("memory:b")
      const other = yield* openEnds("memory:c")
      const arrived = Promise.all([received(far, 2), received(near, 1)])
      let early = true
      arrived.then(() => assert.isFalse(early))
      link.cut("memory:b")
      near.send(message(1))
      near.send(message(2))
      far.send(message(3))
      assert.strictEqual(near.buffered(), 2)
      const error = yield* Effect.flip(transport.dial("memory:b"))
      assert.strictEqual(error.reason, "timeout")
      other.near.send(message(4))
      yield* Effect.promise(() => received(other.far, 1))
      yield* Effect.sleep("20 millis")
      early = false
      link.heal("memory:b")
      const [there, here] = yield* Effect.promise(() => arrived)
      assert.deepStrictEqual([there, here], [[message(1), message(2)], [message(3)]])
      yield* transport.dial("memory:b")
    }).pipe(provide)
  })

  it.scopedLive("keeps even the close of a channel back while it is cut", () => {
    const { link, provide } = over({})
    return Effect.gen(function* () {
      const { near, far } = yield* openEnds("memory:b")
      link.cut("memory:b")
      near.close("bye")
      const first = yield* Effect.promise(() => Promise.race([far.closed, near.closed.then(() => "near")]))
      assert.strictEqual(first, "near")
      yield* Effect.sleep("10 millis")
      assert.isTrue(far.send(message(1)))
      link.heal()
      assert.strictEqual((yield* Effect.promise(() => far.closed)).detail, "bye")
    }).pipe(provide)
  })

  it.scopedLive("severs the channels of one address, as a killed peer does", () => {
    const { link, provide } = over({ latency: "5 millis" })
    return Effect.gen(function* () {
      const { transport, near, far } = yield* openEnds("memory:b")
      const other = yield* openEnds("memory:c")
      near.send(message(1))
      link.sever("memory:b")
      const closed = yield* Effect.promise(() => Promise.all([near.closed, far.closed]))
      assert.deepStrictEqual([closed[0].reason, closed[1].reason], ["lost", "lost"])
      assert.isTrue(other.near.send(message(2)))
      yield* transport.dial("memory:b")
    }).pipe(provide)
  })

  it("refuses options that make no sense", () => {
    assert.throws(() => makeLink({ loss: 1.5 }), RangeError)
    assert.throws(() => makeLink({ refusal: Number.NaN }), RangeError)
    assert.throws(() => makeLink({ bandwidth: 0 }), RangeError)
  })
})
