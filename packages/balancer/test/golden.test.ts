/**
 * Vectors made by running `server/block_selection.py` of Petals 2 (commit 22afba6) against stub servers.
 * @module
 */
import { assert, describe, it } from "vitest"
import { blocksThatFit } from "../src/blocksThatFit.ts"
import { joinBlocks } from "../src/joinBlocks.ts"
import type { Placed } from "../src/Placement.ts"
import { rebalance } from "../src/rebalance.ts"

const at = (peer: string, from: number, to: number, rate: number): Placed => ({ peer, blocks: { from, to }, rate })

describe("the choice of a server that joins", () => {
  it.each<[name: string, blocks: number, count: number, placed: ReadonlyArray<Placed>, from: number]>([
    ["nobody there", 8, 3, [], 0],
    ["one at the start", 8, 3, [at("A", 0, 4, 1)], 4],
    ["speeds rise", 8, 3, [at("A", 0, 3, 1), at("B", 3, 6, 2), at("C", 6, 8, 3)], 0],
    ["one over another", 8, 2, [at("A", 0, 8, 5), at("B", 2, 4, 1)], 0]
  ])("%s", (_, blocks, count, placed, from) => {
    assert.deepStrictEqual(joinBlocks(placed, blocks, count), { from, to: from + count })
  })
})

describe("the wish to move", () => {
  const twins = [at("A", 0, 5, 1), at("B", 0, 5, 1)]
  const halves = [at("A", 0, 5, 1), at("B", 5, 10, 1)]
  const crowd = [at("A", 0, 5, 1), at("C", 0, 5, 1), at("D", 0, 5, 1), at("B", 5, 10, 1)]
  it.each<[name: string, peer: string, placed: ReadonlyArray<Placed>, quality: number, moves: boolean]>([
    ["twins", "A", twins, 0, false],
    ["twins", "A", twins, 0.75, true],
    ["twins", "A", twins, 1, true],
    ["halves", "A", halves, 0.75, false],
    ["halves", "A", halves, 1, false],
    ["three and one", "A", crowd, 0.5, false],
    ["three and one", "A", crowd, 0.75, true],
    ["three and one", "C", crowd, 0.75, true],
    ["three and one", "D", crowd, 0.75, true],
    ["three and one", "B", crowd, 0.75, false],
    ["three and one", "B", crowd, 1, false]
  ])("%s: %s at quality %#", (_, peer, placed, quality, moves) => {
    for (const seed of [0, 0.3, 0.7, 0.999]) {
      const { move } = rebalance(peer, placed, 10, { quality, random: () => seed })
      assert.strictEqual(move !== undefined, moves)
      if (moves) assert.deepStrictEqual(move, { from: 5, to: 10 })
    }
  })
})

describe("blocks that fit", () => {
  const MiB = 2 ** 20
  it.each([
    ["Llama 2 70B, bf16, 24 GiB", 24 * 1024, 8192, 1648, 64, 13],
    ["int8", 24 * 1024, 8192, 824, 64, 26],
    ["nf4", 24 * 1024, 8192, 438, 64, 46],
    ["bf16, 8 GiB", 8 * 1024, 8192, 1648, 64, 4],
    ["int8, 8 GiB", 8 * 1024, 8192, 824, 64, 7],
    ["nf4, 8 GiB", 8 * 1024, 8192, 438, 64, 13],
    ["BLOOM-176B, int8, 24 GiB", 24 * 1024, 14336, 2376, 224, 8],
    ["BLOOM-176B, int8, 80 GiB", 80 * 1024, 14336, 2376, 224, 30]
  ])("%s", (_, memory, hidden, weights, cache, blocks) => {
    const room = {
      memory: memory * MiB,
      reserved: (2048 * MiB * hidden) / 14336,
      weights: weights * MiB,
      cache: cache * MiB
    }
    assert.strictEqual(blocksThatFit(room, 80), blocks)
  })
})
