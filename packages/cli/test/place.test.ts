import { openModel } from "@swarm/model"
import type { Announcement } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import { bytesPerBlock, chooseBlocks, chooseMove, countThatFits, likelyRate } from "../src/place.ts"

const model = await Effect.runPromise(openModel("tiny"))

const server = (peer: string, from: number, to: number, fields: Partial<Announcement> = {}): Announcement => ({
  peer,
  addresses: ["ws://127.0.0.1:1"],
  model: model.digest,
  modelName: model.name,
  modelBlocks: model.blocks,
  blocks: { from, to },
  state: "online",
  decodeRate: 100,
  prefillRate: 1000,
  digest: "",
  freeTokens: 1000,
  maxTokens: 1000,
  sessions: 0,
  queue: 0,
  version: "",
  timeToLive: 30,
  ...fields
})

describe("where a server goes", () => {
  it("at first: the start, then what is missing, those that join included", () => {
    assert.deepStrictEqual(chooseBlocks([], model, 3), { from: 0, to: 3 })
    assert.deepStrictEqual(chooseBlocks([server("a", 0, 3)], model, 8), { from: 3, to: 8 })
    const joining = server("b", 3, 6, { state: "joining" })
    assert.deepStrictEqual(chooseBlocks([server("a", 0, 3), joining], model, 8), { from: 6, to: 8 })
  })
  it("not where one drains, or serves another model", () => {
    const others = [server("a", 0, 3, { state: "draining" }), server("b", 0, 3, { model: "other" })]
    assert.deepStrictEqual(chooseBlocks(others, model, 3), { from: 0, to: 3 })
  })
  it("takes a block even where none seems to fit", () => {
    assert.deepStrictEqual(chooseBlocks([], model, 0), { from: 0, to: 1 })
  })
})

describe("a move", () => {
  const own = server("own", 4, 8)
  const twins = [server("a", 0, 4), server("b", 4, 8), server("c", 4, 8)]
  it("goes where the swarm is weakest", () => {
    assert.deepStrictEqual(chooseMove(twins, own, model, 4), { from: 0, to: 4 })
  })
  it("fills a hole that others' losses left", () => {
    assert.deepStrictEqual(chooseMove([server("a", 0, 2), server("b", 4, 8)], own, model, 4), { from: 2, to: 4 })
  })
  it("is not made by the only holder, to where it does not fit, or for little", () => {
    assert.isUndefined(chooseMove([server("a", 0, 4)], own, model, 4))
    assert.isUndefined(chooseMove(twins, own, model, 0))
    assert.isUndefined(chooseMove([server("a", 0, 4), server("d", 0, 4), server("b", 4, 8)], own, model, 4))
  })
})

describe("what fits", () => {
  it("is all of a small model, and nothing of one with caches beyond any memory", () => {
    const blockBytes = bytesPerBlock(model.span(0, model.blocks))
    assert.isAbove(blockBytes, 1e5)
    assert.strictEqual(countThatFits(model, { blockBytes, maxTokens: 16, kvBytes: undefined }), model.blocks)
    assert.strictEqual(countThatFits(model, { blockBytes, maxTokens: 1e12, kvBytes: undefined }), 0)
    assert.strictEqual(countThatFits(model, { blockBytes, maxTokens: 16, kvBytes: 1e18 }), 0)
  })
  it("a rate to announce before measuring is that of the others", () => {
    assert.strictEqual(likelyRate([server("a", 0, 1), server("b", 0, 1, { decodeRate: 300 })]), 200)
    assert.isAbove(likelyRate([]), 0)
  })
})
