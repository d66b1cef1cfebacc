/**
 * Properties of placement decisions over random swarms.
 * @module
 */
import { assert, describe, it } from "vitest"
import { improve } from "../src/improve.ts"
import { joinBlocks, lowestWindow } from "../src/joinBlocks.ts"
import { blockHolders, blockRates, bottleneck, evenBound, type Placed } from "../src/Placement.ts"
import { seeded } from "../src/random.ts"
import { rebalance } from "../src/rebalance.ts"
import { improveRegional, joinRegional } from "../src/regions.ts"

const SWARMS = 150

/** Servers anywhere, holes included. */
const anywhere = (random: () => number): { readonly blocks: number; readonly placed: ReadonlyArray<Placed> } => {
  const blocks = 4 + Math.floor(random() * 29)
  const placed = Array.from({ length: 1 + Math.floor(random() * 14) }, (_, i) => {
    const length = 1 + Math.floor(random() * Math.min(blocks, 9))
    const from = Math.floor(random() * (blocks - length + 1))
    const rate = random() < 0.3 ? 1 : 0.8 * 12 ** random()
    return { peer: `p${i}`, blocks: { from, to: from + length }, rate, region: random() < 0.5 ? "eu" : "us/east" }
  })
  return { blocks, placed }
}

const moved = (placed: ReadonlyArray<Placed>, peer: string, blocks: Placed["blocks"]): ReadonlyArray<Placed> =>
  placed.map((server) => (server.peer === peer ? { ...server, blocks } : server))

/** No block that was held is held by nobody. */
const assertNoneUncovered = (before: ReadonlyArray<Placed>, after: ReadonlyArray<Placed>, blocks: number): void => {
  const [then, now] = [blockHolders(before, blocks), blockHolders(after, blocks)]
  for (let block = 0; block < blocks; block++) assert.isTrue(then[block] === 0 || now[block] !== 0, `block ${block}`)
}

describe("the lowest window", () => {
  it("is the first of those whose sorted rates are least", () => {
    const random = seeded(1)
    for (let i = 0; i < 300; i++) {
      const rates = Float64Array.from({ length: 1 + Math.floor(random() * 20) }, () => Math.floor(random() * 4))
      const length = 1 + Math.floor(random() * rates.length)
      const windows = Array.from({ length: rates.length - length + 1 }, (_, from) => ({
        from,
        key: [...rates.slice(from, from + length)].sort().join()
      }))
      const least = windows.map(({ key }) => key).sort()[0]
      assert.strictEqual(lowestWindow(rates, length), windows.find(({ key }) => key === least)?.from)
    }
  })
  it("is refused where there is none", () => {
    assert.throws(() => lowestWindow(new Float64Array(3), 4), RangeError)
    assert.throws(() => lowestWindow(new Float64Array(3), 0), RangeError)
  })
})

describe("a swarm", () => {
  it("is covered as soon as its servers can hold the model, whoever joins", () => {
    const random = seeded(2)
    for (let i = 0; i < SWARMS; i++) {
      const blocks = 8 + Math.floor(random() * 73)
      let placed: ReadonlyArray<Placed> = []
      // twice the model, since windows of different lengths do not tile it
      for (let held = 0, n = 0; held < 2 * blocks + blocks / 4; n++) {
        const count = 1 + Math.floor((random() * blocks) / 4)
        placed = [...placed, { peer: `p${n}`, blocks: joinBlocks(placed, blocks, count), rate: 1 + random() }]
        held += count
      }
      assert.isAbove(bottleneck(blockRates(placed, blocks)), 0)
    }
  })
})

describe("moves never leave a block to nobody", () => {
  it("by the greedy rule, whatever the quality that is asked for", () => {
    const random = seeded(3)
    let count = 0
    for (let i = 0; i < SWARMS; i++) {
      let { blocks, placed } = anywhere(random)
      for (let turn = 0; turn < 3; turn++) {
        for (const { peer } of placed) {
          const { move } = rebalance(peer, placed, blocks, { random, quality: turn === 0 ? 2 : 0.95 })
          if (move === undefined) continue
          const after = moved(placed, peer, move)
          assertNoneUncovered(placed, after, blocks)
          placed = after
          count++
        }
      }
    }
    assert.isAbove(count, SWARMS)
  })

  it.each([
    ["optimised", improve],
    ["by region", improveRegional]
  ])("%s, at any point of the plan", (_, plan) => {
    const random = seeded(4)
    let count = 0
    for (let i = 0; i < SWARMS; i++) {
      const { blocks, placed } = anywhere(random)
      const { moves, before, after } = plan(placed, blocks, { rounds: 6, seed: i })
      let now = placed
      for (const { peer, from, to } of moves) {
        assert.deepStrictEqual(now.find((server) => server.peer === peer)?.blocks, from)
        assert.strictEqual(to.to - to.from, from.to - from.from)
        const next = moved(now, peer, to)
        assertNoneUncovered(now, next, blocks)
        now = next
        count++
      }
      const [least, most] = [bottleneck(blockRates(placed, blocks)), bottleneck(blockRates(now, blocks))]
      assert.closeTo(before, least, 1e-9)
      assert.closeTo(after, most, 1e-6)
      assert.isAtMost(after, evenBound(placed, blocks) + 1e-6)
    }
    assert.isAbove(count, SWARMS / 3)
  })
})

describe("the optimiser", () => {
  it("is never worse than before, keeps pinned servers and the number of moves", () => {
    const random = seeded(5)
    for (let i = 0; i < SWARMS; i++) {
      const { blocks, placed } = anywhere(random)
      const pinned = new Set(placed.slice(0, 2).map(({ peer }) => peer))
      const { moves, before, after } = improve(placed, blocks, { rounds: 6, maxMoves: 2, pinned })
      assert.isAtLeast(after, before - 1e-9)
      assert.isAtMost(moves.length, 2)
      for (const { peer } of moves) assert.isFalse(pinned.has(peer))
    }
  })
  it("gives everybody the same plan, in whatever order the servers are known", () => {
    const { blocks, placed } = anywhere(seeded(6))
    assert.deepStrictEqual(improve(placed, blocks), improve(placed.toReversed(), blocks))
  })
  it("finds the even placement that the greedy rule misses", () => {
    // three servers of two thirds of the model, in one place: each block can have two
    const placed = ["a", "b", "c"].map((peer) => ({ peer, blocks: { from: 0, to: 4 }, rate: 1 }))
    assert.strictEqual(improve(placed, 6).after, 1)
  })
})

describe("regions", () => {
  const at = (peer: string, from: number, to: number, region: string): Placed => ({
    peer,
    blocks: { from, to },
    rate: 1,
    region
  })
  it("that can hold the model hold it", () => {
    const placed = [at("a", 0, 4, "eu"), at("b", 4, 8, "us"), at("c", 0, 4, "us")]
    assert.deepStrictEqual(joinRegional(placed, 8, 4, "eu"), { from: 4, to: 8 })
    const { moves } = improveRegional([...placed, at("d", 0, 4, "eu")], 8)
    assert.deepStrictEqual(
      moves.map(({ to }) => to),
      [{ from: 4, to: 8 }]
    )
  })
  it("fill what nobody serves first", () => {
    assert.deepStrictEqual(joinRegional([at("a", 4, 8, "eu")], 12, 4, "eu"), { from: 0, to: 4 })
  })
  it("too small for the model follow the whole", () => {
    const placed = [at("a", 0, 4, "us"), at("b", 4, 8, "us"), at("c", 0, 4, "us")]
    assert.deepStrictEqual(joinRegional(placed, 8, 2, "eu/paris"), { from: 4, to: 6 })
  })
})

describe("what cannot be is refused", () => {
  it.each([
    [{ from: 0, to: 9 }, 1],
    [{ from: 3, to: 3 }, 1],
    [{ from: -1, to: 2 }, 1],
    [{ from: 0, to: 2 }, Number.NaN],
    [{ from: 0, to: 2 }, -1]
  ])("%o at %d", (blocks, rate) => {
    assert.throws(() => blockRates([{ peer: "a", blocks, rate }], 8), RangeError, '"a"')
  })
  it("a server that is not there", () => assert.throws(() => rebalance("x", [], 8), RangeError))
})
