import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import type { Candidate, Chain } from "@swarm/routing"
import {
  chainSeconds,
  defaultCosts,
  hedged,
  keepChain,
  makeDemotions,
  makeHedge,
  makeLinkTable,
  makePings
} from "@swarm/routing"

describe("makePings()", () => {
  it("averages with weight 0.2 and forgets after 300 s", () => {
    const pings = makePings()
    assert.isTrue(pings.note("a", 1, 0))
    assert.isTrue(pings.note("a", 2, 10))
    assert.strictEqual(pings.roundTrips.get("a"), 1.2)
    assert.isTrue(pings.note("b", 5, 20))
    assert.deepEqual(pings.expire(309), [])
    assert.deepEqual(pings.expire(310), ["a"])
    assert.deepEqual([...pings.roundTrips], [["b", 5]])
  })

  it("refuses what is no time, and forgets the oldest beyond its limit", () => {
    const pings = makePings({ limit: 2 })
    for (const seconds of [Number.NaN, -1]) assert.isFalse(pings.note("a", seconds, 0))
    for (const [at, peer] of ["a", "b", "a", "c"].entries()) pings.note(peer, 1, at)
    assert.deepEqual([...pings.roundTrips.keys()].sort(), ["a", "c"])
  })

  it("comes back from a peer that was out of reach", () => {
    const pings = makePings()
    pings.note("a", Number.POSITIVE_INFINITY, 0)
    pings.note("a", 0.1, 1)
    assert.strictEqual(pings.roundTrips.get("a"), 0.1)
  })
})

describe("makeDemotions()", () => {
  it("demotes above three times the promise, restores below one and a half, and says why", () => {
    const demotions = makeDemotions({ weight: 1, slackSeconds: 0 })
    const changes = [4, 4, 4, 4, 4, 2, 1.6, 3.5, 1.4, 2.9, 2.9].map((seconds, now) =>
      demotions.note("a", seconds, 1, now)
    )
    // The fifth slow step, and the first quick one
    assert.deepEqual(changes, [false, false, false, false, true, false, false, false, true, false, false])
    const slow = makeDemotions({ weight: 1, leastSteps: 1, slackSeconds: 0 })
    assert.isUndefined(slow.of("a", 0))
    slow.note("a", 4, 1, 0)
    assert.deepEqual(slow.of("a", 0), { slowdown: 4, reason: "takes 4.0 times as long as it says" })
  })

  it("does not blame a peer for some milliseconds, however little it promised", () => {
    const demotions = makeDemotions({ leastSteps: 1 })
    assert.isFalse(demotions.note("a", 0.02, 1e-6, 0))
    assert.isTrue(demotions.note("b", 0.05, 0.001, 0))
    // What is reckoned with is what was seen
    assert.approximately(demotions.of("b", 0)?.slowdown ?? 0, 50, 1e-9)
  })

  it("does not come and go between the two thresholds", () => {
    const demotions = makeDemotions({ weight: 1, slackSeconds: 0 })
    let changes = 0
    for (let step = 0; step < 1000; step++) if (demotions.note("a", step % 2 === 0 ? 2.9 : 1.6, 1, step)) changes++
    assert.strictEqual(changes, 0)
  })

  it("gives another try after 120 s, and one slow step is then enough", () => {
    const demotions = makeDemotions({ slackSeconds: 0 })
    for (let step = 0; step < 5; step++) demotions.note("a", 100, 1, step)
    assert.strictEqual(demotions.of("a", 100)?.slowdown, 100)
    assert.deepEqual(demotions.retry(123), [])
    assert.deepEqual(demotions.retry(124), ["a"])
    assert.isUndefined(demotions.of("a", 124))
    assert.isTrue(demotions.note("a", 100, 1, 125))
    assert.isDefined(demotions.of("a", 125))
  })

  it("takes no harm from times that are none", () => {
    const demotions = makeDemotions({ leastSteps: 1 })
    for (const [seconds, promised] of [
      [Number.NaN, 1],
      [-1, 1],
      [1, 0],
      [1, Number.NaN]
    ] as const) {
      assert.isFalse(demotions.note("a", seconds, promised, 0))
    }
    demotions.note("a", Number.POSITIVE_INFINITY, 1, 0)
    assert.isTrue(Number.isFinite(demotions.of("a", 0)?.slowdown))
  })
})

describe("makeHedge()", () => {
  it("knows the 95th percentile of the last requests", () => {
    const hedge = makeHedge({ window: 20 })
    for (let seconds = 1; seconds <= 7; seconds++) hedge.note(seconds)
    assert.isUndefined(hedge.delay())
    for (let seconds = 8; seconds <= 120; seconds++) hedge.note(seconds)
    // Of 101 to 120
    assert.strictEqual(hedge.delay(), 119)
  })

  it("sends no more second requests than its share, however late all are", () => {
    const hedge = makeHedge()
    let seconds = 0
    for (let request = 0; request < 1000; request++) {
      hedge.started()
      if (hedge.take()) seconds++
    }
    assert.isAtMost(seconds, 52)
    assert.isAtLeast(seconds, 48)
  })
})

describe("hedged()", () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const warm = () => {
    const hedge = makeHedge()
    for (let request = 0; request < 8; request++) hedge.note(0.1)
    return hedge
  }
  const after = (milliseconds: number, result: string, log: Array<string>) => (signal: AbortSignal) => {
    log.push(`${result} starts`)
    signal.addEventListener("abort", () => log.push(`${result} stops`))
    return new Promise<string>((resolve, reject) =>
      setTimeout(() => (result === "broken" ? reject(new Error(result)) : resolve(result)), milliseconds)
    )
  }

  it("leaves a first request alone that is not late", async () => {
    const log: Array<string> = []
    const result = hedged(warm(), after(90, "first", log), after(1, "second", log))
    await vi.advanceTimersByTimeAsync(200)
    assert.strictEqual(await result, "first")
    assert.notInclude(log, "second starts")
  })

  it("asks a second one when the first is late, takes who comes first and stops the other", async () => {
    const log: Array<string> = []
    const result = hedged(warm(), after(500, "first", log), after(50, "second", log))
    await vi.advanceTimersByTimeAsync(99)
    assert.deepEqual(log, ["first starts"])
    await vi.advanceTimersByTimeAsync(60)
    assert.strictEqual(await result, "second")
    assert.include(log, "first stops")
  })

  it("asks a second one at once when the first fails, and fails when both do", async () => {
    const log: Array<string> = []
    const result = hedged(warm(), after(10, "broken", log), after(10, "second", log))
    await vi.advanceTimersByTimeAsync(25)
    assert.strictEqual(await result, "second")
    const failure = hedged(warm(), after(10, "broken", log), after(10, "broken", log)).catch(
      (cause: Error) => cause.message
    )
    await vi.advanceTimersByTimeAsync(25)
    assert.strictEqual(await failure, "broken")
  })
})

describe("keepChain()", () => {
  const candidate = (peer: string, from: number, to: number, decodeRate: number): Candidate => ({
    peer,
    address: `ws://${peer}.test:1`,
    blocks: { from, to },
    digest: "",
    decodeRate,
    prefillRate: 1,
    queue: 0,
    hasRoom: true,
    banSeconds: 0,
    slowdown: 1
  })
  const weighing = {
    trips: { client: new Map<string, number>() },
    costs: { ...defaultCosts, unknownDelay: 0, overhead: 0 }
  }
  const chain = (...hops: ReadonlyArray<Candidate>): Chain => ({ hops, seconds: chainSeconds(hops, weighing) })
  const best = candidate("best", 0, 8, 1000)
  const peers = (previous: ReadonlyArray<Candidate>, candidates: ReadonlyArray<Candidate>): ReadonlyArray<string> =>
    keepChain(previous, candidates, chain(best), weighing).hops.map(({ peer }) => peer)

  it("keeps a former chain while it takes no more than a fifth longer", () => {
    const near = candidate("near", 0, 8, 850)
    const far = candidate("far", 0, 8, 800)
    assert.deepEqual(peers([near], [best, near]), ["near"])
    assert.deepEqual(peers([far], [best, far]), ["best"])
    const halves = [candidate("a", 0, 4, 900), candidate("b", 4, 8, 900)]
    assert.deepEqual(peers(halves, [best, ...halves]), ["a", "b"])
  })

  it("lets it go when a server is gone, holds other blocks now, or the chain was for others", () => {
    const near = candidate("near", 0, 8, 990)
    assert.deepEqual(peers([near], [best]), ["best"])
    assert.deepEqual(peers([near], [best, candidate("near", 0, 9, 990)]), ["best"])
    assert.deepEqual(peers([candidate("near", 2, 8, 990)], [best, candidate("near", 2, 8, 990)]), ["best"])
    assert.deepEqual(peers([], [best]), ["best"])
  })
})

describe("makeLinkTable()", () => {
  it("knows what is announced now, and tells what changed", () => {
    const changes: Array<string> = []
    const table = makeLinkTable((sender, receiver) => changes.push(`${sender}>${receiver}`))
    const a = { peer: "a", nextHops: [{ peer: "b", roundTrip: 0.1 }] }
    const more = { peer: "a", nextHops: [{ peer: "c", roundTrip: 0.3 }] }
    table.look([a, more, { peer: "b" }])
    assert.deepEqual(changes.splice(0), ["a>b", "a>c"])
    table.look([a, more])
    assert.deepEqual(changes, [])
    const again = { peer: "a", nextHops: [{ peer: "b", roundTrip: 0.2 }] }
    table.look([again, more])
    assert.deepEqual(changes.splice(0), ["a>b"])
    assert.strictEqual(table.servers.get("b")?.get("a"), 0.2)
    table.look([again])
    assert.deepEqual(changes.splice(0), ["a>c"])
    table.look([])
    assert.deepEqual(changes.splice(0), ["a>b"])
    assert.strictEqual(table.servers.size, 0)
  })

  it("takes no links that make no sense, and no more than 64 of one peer", () => {
    const table = makeLinkTable()
    const nextHops = [Number.NaN, -1].map((roundTrip, index) => ({ peer: `bad${index}`, roundTrip }))
    table.look([{ peer: "a", nextHops: [...nextHops, { peer: "a", roundTrip: 0 }] }])
    assert.strictEqual(table.servers.size, 0)
    table.look([{ peer: "b", nextHops: Array.from({ length: 1000 }, (_, n) => ({ peer: `p${n}`, roundTrip: 0 })) }])
    assert.strictEqual(table.servers.size, 64)
  })
})
