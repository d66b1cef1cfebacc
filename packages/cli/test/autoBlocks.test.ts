import type { Announcement } from "@swarm/protocol"
import * as FastCheck from "effect/FastCheck"
import { assert, describe, it } from "vitest"
import { chooseBlocks } from "../src/autoBlocks.ts"

const server = (
  from: number,
  to: number,
  decodeRate: number,
  state: Announcement["state"] = "online"
): Announcement => ({
  peer: `${from}:${to}@${decodeRate}`,
  addresses: ["ws://127.0.0.1:1"],
  model: "m",
  modelName: "m",
  modelBlocks: 8,
  blocks: { from, to },
  state,
  decodeRate,
  prefillRate: decodeRate,
  digest: "d",
  freeTokens: 1,
  maxTokens: 1,
  sessions: 0,
  queue: 0,
  version: "0",
  timeToLive: 30
})

describe("chooseBlocks", () => {
  // what Petals' own block_selection.py gives for these swarms
  const vectors = [
    { servers: [], count: 3, from: 0 },
    { servers: [server(0, 4, 1)], count: 3, from: 4 },
    { servers: [server(0, 3, 1), server(3, 6, 2), server(6, 8, 3)], count: 3, from: 0 },
    { servers: [server(0, 8, 5), server(2, 4, 1)], count: 2, from: 0 }
  ]
  for (const { servers, count, from } of vectors)
    it(`takes ${from}:${from + count} beside ${servers.map(({ peer }) => peer).join(", ") || "nobody"}`, () => {
      assert.deepStrictEqual(chooseBlocks(servers, 8, count), { from, to: from + count })
    })

  it("counts servers that join, not those that leave", () => {
    assert.strictEqual(chooseBlocks([server(0, 4, 1, "joining")], 8, 4).from, 4)
    assert.strictEqual(chooseBlocks([server(0, 4, 1, "draining"), server(4, 8, 1)], 8, 4).from, 0)
  })

  it("takes the whole model where it can, and ignores blocks that the model lacks", () => {
    assert.deepStrictEqual(chooseBlocks([server(2, 4, 1)], 8, 20), { from: 0, to: 8 })
    assert.deepStrictEqual(chooseBlocks([server(0, 900, 1)], 8, 3), { from: 0, to: 3 })
  })

  it("always has the worst block of all windows in its own", () => {
    const some = FastCheck.array(FastCheck.tuple(FastCheck.nat(7), FastCheck.nat(7), FastCheck.nat(9)), {
      maxLength: 6
    })
    FastCheck.assert(
      FastCheck.property(some, FastCheck.integer({ min: 1, max: 8 }), (drawn, count) => {
        const servers = drawn.map(([a, b, rate]) => server(Math.min(a, b), Math.max(a, b) + 1, rate))
        const rateOf = (block: number) =>
          servers.reduce(
            (sum, { blocks, decodeRate }) => sum + (blocks.from <= block && block < blocks.to ? decodeRate : 0),
            0
          )
        const rates = Array.from({ length: 8 }, (_, block) => rateOf(block))
        const { from, to } = chooseBlocks(servers, 8, count)
        assert.strictEqual(to - from, count)
        assert.strictEqual(Math.min(...rates.slice(from, to)), Math.min(...rates))
      })
    )
  })
})
