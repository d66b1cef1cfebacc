/**
 * Whole spans meet.
 * @module
 */
import { assert, describe, it } from "vitest"
import type { Placed } from "../src/Placement.ts"
import { seeded } from "../src/random.ts"
import { rebalanceWhole } from "../src/rebalanceWhole.ts"
import { chainedBlocks, isChained, joinWhole } from "../src/wholeSpans.ts"

const at = (peer: string, from: number, to: number, rate = 1): Placed => ({ peer, blocks: { from, to }, rate })

describe("joinWhole", () => {
  it("closes the gap and no more", () => {
    assert.deepStrictEqual(joinWhole([at("a", 0, 12), at("b", 12, 24)], 30, 12), { from: 24, to: 30 })
    assert.deepStrictEqual(joinWhole([at("a", 0, 4), at("b", 7, 10)], 10, 5), { from: 4, to: 7 })
  })
  it("goes on from where a chain is stuck", () => {
    assert.deepStrictEqual(joinWhole([], 10, 4), { from: 0, to: 4 })
    assert.deepStrictEqual(joinWhole([at("a", 0, 4)], 30, 5), { from: 4, to: 9 })
  })
  it("strengthens the weakest place between boundaries", () => {
    const placed = [at("a", 0, 5, 3), at("b", 5, 10, 1), at("c", 0, 5, 1)]
    assert.deepStrictEqual(joinWhole(placed, 10, 7), { from: 5, to: 10 })
    assert.deepStrictEqual(joinWhole(placed, 10, 10), { from: 0, to: 10 })
  })
  it("makes a chain of whatever comes, as soon as there is enough, and never breaks it", () => {
    const random = seeded(9)
    for (let i = 0; i < 200; i++) {
      const blocks = 4 + Math.floor(random() * 77)
      const most = 1 + Math.floor((random() * blocks) / 2)
      let placed: ReadonlyArray<Placed> = []
      let held = 0
      while (held < 2 * blocks) {
        const count = 1 + Math.floor(random() * most)
        const range = joinWhole(placed, blocks, count)
        assert.isAtMost(range.to - range.from, count)
        placed = [...placed, at(`p${placed.length}`, range.from, range.to, random())]
        held += count
      }
      assert.isTrue(isChained(placed, blocks))
    }
  })
})

/** Lets servers follow the rule one after the other, from `first` on, until nobody wants to move. */
const settle = (placed: ReadonlyArray<Placed>, blocks: number, count: number, first = 0): ReadonlyArray<Placed> => {
  const now = [...placed]
  let idle = 0
  for (let turn = first; idle < now.length; turn++) {
    assert.isBelow(turn - first, 1000, "servers move for ever")
    const own = now[turn % now.length] as Placed
    const { move } = rebalanceWhole(own.peer, now, blocks, count)
    idle = move === undefined ? idle + 1 : 0
    if (move === undefined) continue
    const before = chainedBlocks(now, blocks)
    now[turn % now.length] = { ...own, blocks: move }
    assert.isAtLeast(chainedBlocks(now, blocks), before)
  }
  return now
}

describe("rebalanceWhole", () => {
  it("closes several gaps, one move after the other", () => {
    const together = Array.from({ length: 6 }, (_, index) => at(`peer${index}`, 0, 10))
    const settled = settle(together, 30, 10)
    for (const from of [0, 10, 20]) assert.isAtLeast(settled.filter(({ blocks }) => blocks.from === from).length, 1)
    assert.isTrue(isChained(settled, 30))
  })
  it("makes a chain from wherever equal servers are, if enough are spare, and never makes one shorter", () => {
    const random = seeded(4)
    for (let i = 0; i < 100; i++) {
      const spans = 2 + Math.floor(random() * 4)
      const count = 2 + Math.floor(random() * 6)
      // one more than spans at the start, so that somebody is always spare
      const placed = Array.from({ length: 2 * spans }, (_, index) => {
        const from = index <= spans ? 0 : count * Math.floor(random() * spans)
        return at(`peer${index}`, from, from + count, 1 + Math.floor(random() * 4))
      })
      assert.isTrue(isChained(settle(placed, spans * count, count, Math.floor(random() * 8)), spans * count))
    }
  })
  it("leaves a server that others need where it is", () => {
    assert.isUndefined(rebalanceWhole("a", [at("a", 0, 10), at("b", 10, 20)], 30, 10).move)
  })
})
