/**
 * Whole spans meet.
 * @module
 */
import { assert, describe, it } from "vitest"
import type { Placed } from "../src/Placement.ts"
import { seeded } from "../src/random.ts"
import { isChained, joinWhole } from "../src/wholeSpans.ts"

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
