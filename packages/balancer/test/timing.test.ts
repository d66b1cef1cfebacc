/**
 * Forecasts, chains, and the guard against stampedes.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import { announcement } from "@swarm/testing"
import { assert, describe, it } from "vitest"
import { chainSeconds } from "../src/chainSeconds.ts"
import { expected, makeForecast } from "../src/Forecast.ts"
import { joinBlocks } from "../src/joinBlocks.ts"
import { makeRecheck } from "../src/makeRecheck.ts"
import { blockRates, bottleneck, type Placed, placedOf } from "../src/Placement.ts"
import { seeded } from "../src/random.ts"
import { rebalance } from "../src/rebalance.ts"
import { joinNear } from "../src/regions.ts"

describe("a forecast", () => {
  it("follows the hours of the day, and forgets old days", () => {
    const forecast = makeForecast({ weight: 0.5 })
    for (let day = 0; day < 6; day++) {
      for (let hour = 0; hour < 24; hour++) forecast.observe("a", 24 * day + hour, hour < 8 ? 0 : day < 3 ? 10 : 20)
    }
    assert.strictEqual(forecast.expect("a", 24 * 30 + 4), 0)
    assert.approximately(forecast.expect("a", 24 * 30 + 12) ?? 0, 20 - 10 / 8, 1e-9)
    assert.isUndefined(forecast.expect("b", 3))
    const once = makeForecast()
    once.observe("a", 5, 1)
    assert.isUndefined(once.expect("a", 6))
  })
  it("takes several values of an hour as their mean", () => {
    const forecast = makeForecast()
    for (const value of [1, 2, 6]) forecast.observe("a", 5.5, value)
    assert.strictEqual(forecast.expect("a", 5), 3)
  })
  it("makes a server that leaves at night count for little in the evening", () => {
    const forecast = makeForecast()
    for (let day = 0; day < 4; day++) {
      for (let hour = 0; hour < 24; hour++) forecast.observe("day", 24 * day + hour, 8 <= hour && hour < 22 ? 5 : 0)
    }
    const placed = [
      { peer: "day", blocks: { from: 0, to: 4 }, rate: 5 },
      { peer: "always", blocks: { from: 4, to: 8 }, rate: 2 }
    ]
    assert.strictEqual(joinBlocks(placed, 8, 4).from, 4)
    assert.strictEqual(joinBlocks(expected(placed, forecast, 21, 6), 8, 4).from, 0)
    assert.approximately(expected(placed, forecast, 21, 6)[0]?.rate ?? 0, 5 / 7, 1e-9)
  })
})

describe("the time of a chain", () => {
  const at = (peer: string, from: number, to: number, region: string, seconds: number): Placed => ({
    peer,
    blocks: { from, to },
    region,
    rate: 2 / ((to - from + 1) * seconds)
  })
  const prices = { delay: (a: string, b: string) => (a === b ? 0.001 : 0.05), client: "eu", overhead: 0 }
  it("is delays and blocks", () => {
    const placed = [at("a", 0, 2, "eu", 0.01), at("b", 2, 4, "us", 0.01)]
    assert.approximately(chainSeconds(placed, 4, prices), 0.001 + 0.02 + 0.05 + 0.02 + 0.05, 1e-12)
  })
  it("stays in the region where that is cheaper, and leaves spans anywhere", () => {
    const placed = [at("a", 0, 3, "eu", 0.01), at("b", 2, 4, "us", 0.001), at("c", 1, 4, "eu", 0.02)]
    assert.approximately(chainSeconds(placed, 4, prices), 0.001 + 0.03 + 0.001 + 0.02 + 0.001, 1e-12)
  })
  it("is infinite where a block is missing", () => {
    assert.strictEqual(chainSeconds([at("a", 0, 2, "eu", 0.01)], 4, prices), Number.POSITIVE_INFINITY)
  })
  it("decides where a newcomer goes among places that are about as weak", () => {
    const placed = [at("a", 0, 4, "eu", 0.01), at("b", 4, 8, "us", 0.01)]
    assert.deepStrictEqual(joinNear(placed, 8, 4, { ...prices, rate: 40, region: "eu" }), { from: 4, to: 8 })
  })
})

describe("the guard", () => {
  it("lets few of many move where all wish to at once", () => {
    const random = seeded(3)
    const blocks = 10
    let placed: ReadonlyArray<Placed> = [
      ...Array.from({ length: 9 }, (_, i) => ({ peer: `a${i}`, blocks: { from: 0, to: 5 }, rate: 1 })),
      { peer: "b", blocks: { from: 5, to: 10 }, rate: 1 }
    ]
    const guards = new Map(placed.map(({ peer }) => [peer, makeRecheck({ random })]))
    const due = new Map([...guards].map(([peer, guard]) => [peer, guard.first()]))
    let moves = 0
    for (let step = 0; step < 2000; step++) {
      const [peer, now] = [...due].reduce((a, b) => (b[1] < a[1] ? b : a))
      const { move } = rebalance(peer, placed, blocks, { random })
      const verdict = guards.get(peer)?.wish(move, now)
      due.set(peer, now + (verdict?.waitSeconds ?? 60))
      const target = verdict?.move
      if (target === undefined) continue
      placed = placed.map((server) => (server.peer === peer ? { ...server, blocks: target } : server))
      guards.get(peer)?.moved(now)
      moves++
    }
    // four would make it even; three are within a quarter of that
    assert.isAtMost(moves, 4)
    assert.isAtLeast(bottleneck(blockRates(placed, blocks)), 4)
  })
  it("forgets a wish that was not confirmed, and rests after a move", () => {
    const guard = makeRecheck({ confirmations: 1, restSeconds: 100, random: () => 0.5 })
    const target = { from: 0, to: 2 }
    assert.isUndefined(guard.wish(target, 0).move)
    assert.isUndefined(guard.wish(undefined, 1).move)
    assert.isUndefined(guard.wish(target, 2).move)
    assert.deepStrictEqual(guard.wish(target, 3).move, target)
    guard.moved(3)
    // blocks without a server are taken after one look more, rest or not
    const urgent = makeRecheck({ restSeconds: 100, urgentSeconds: 2, random: () => 0.5 })
    urgent.moved(0)
    assert.deepStrictEqual(urgent.wish(target, 1, true), { move: undefined, waitSeconds: 1.5 })
    assert.deepStrictEqual(urgent.wish(target, 2.5, true).move, target)
    for (const now of [4, 50, 102]) assert.isUndefined(guard.wish(target, now).move)
    assert.isUndefined(guard.wish(target, 104).move)
    assert.deepStrictEqual(guard.wish(target, 105).move, target)
  })
})

describe("announcements as placed servers", () => {
  const server = (peer: string, fields: Partial<Announcement> = {}) =>
    announcement(peer, 0, 4, { model: "m", modelBlocks: 8, decodeRate: 100, prefillRate: 100, ...fields })
  it("count those that join, not those that leave, nor other models", () => {
    const placed = placedOf(
      [
        server("a"),
        server("b", { state: "joining" }),
        server("c", { state: "draining" }),
        server("d", { model: "other" }),
        server("e", { blocks: { from: 6, to: 99 } }),
        server("f", { blocks: { from: 5, to: 2 } }),
        server("g", { decodeRate: Number.NaN })
      ],
      "m",
      8
    )
    assert.deepStrictEqual(
      placed.map(({ peer, blocks, rate }) => [peer, blocks.to, rate]),
      [
        ["a", 4, 40],
        ["b", 4, 40],
        ["e", 8, 100 / 1.5],
        ["g", 4, 0]
      ]
    )
  })
})
