import { assert, describe, it } from "@effect/vitest"
import type { Announcement, BlockRange } from "@swarm/protocol"
import type { Candidate, RoundTrips } from "@swarm/routing"
import {
  blockCost,
  buildGraph,
  defaultCosts,
  entryCost,
  linkCost,
  makeBans,
  missingBlocks,
  returnCost,
  selectCandidates,
  shortestChain
} from "@swarm/routing"
import { server } from "@swarm/routing/compliance"
import { FastCheck } from "effect"

const select = (
  announcements: ReadonlyArray<Announcement>,
  blocks: BlockRange,
  tokens = 128
): ReadonlyArray<Candidate> =>
  selectCandidates(announcements, { model: "model", blocks, tokens }, makeBans(), 0, false).candidates

describe("shortestChain()", () => {
  it("equals the golden vector of Petals' router", () => {
    const announcements = [
      server("X", 0, 2, { decodeRate: 200 }),
      server("Y", 2, 4, { decodeRate: 100, freeTokens: 100_000 }),
      server("Z", 2, 4, { decodeRate: 400, freeTokens: 3 })
    ]
    const trips: RoundTrips = {
      client: new Map([
        ["X", 0.1],
        ["Y", 0.06],
        ["Z", 0.02]
      ]),
      servers: new Map([
        ["Y", new Map([["X", 0.04]])],
        ["Z", new Map([["X", 0.2]])]
      ])
    }
    const weighing = { trips, costs: { ...defaultCosts, overhead: 0.018 } }
    const blocks = { from: 0, to: 4 }
    const candidates = select(announcements, blocks)
    const of = (peer: string): Candidate => {
      const candidate = candidates.find((candidate) => candidate.peer === peer)
      if (candidate === undefined) throw new Error(peer)
      return candidate
    }
    assert.strictEqual(entryCost(of("X"), weighing), 0.068e9)
    assert.strictEqual(blockCost(of("X"), weighing), 0.005e9)
    assert.strictEqual(linkCost(of("X"), of("Y"), weighing), 0.038e9)
    assert.strictEqual(linkCost(of("X"), of("Z"), weighing), 10.118e9)
    assert.strictEqual(blockCost(of("Y"), weighing), 0.01e9)
    assert.strictEqual(returnCost(of("Y"), weighing), 0.03e9)
    assert.strictEqual(returnCost(of("Z"), weighing), 0.01e9)
    const chain = shortestChain(buildGraph(candidates, blocks, weighing))
    assert.deepEqual(
      chain?.hops.map(({ peer }) => peer),
      ["X", "Y"]
    )
    assert.strictEqual(chain?.seconds, 0.166)
  })

  it("takes the longer span among equals, then the lesser peer", () => {
    const blocks = { from: 0, to: 4 }
    const costs = { ...defaultCosts, overhead: 0, unknownDelay: 0 }
    const peers = (announcements: ReadonlyArray<Announcement>): ReadonlyArray<string> | undefined =>
      shortestChain(
        buildGraph(select(announcements, blocks), blocks, { trips: { client: new Map() }, costs })
      )?.hops.map(({ peer }) => peer)
    const spans = [server("a", 0, 1), server("b", 1, 4), server("d", 0, 3), server("c", 0, 3), server("e", 3, 4)]
    assert.deepEqual(peers(spans), ["c", "e"])
    assert.deepEqual(peers(spans.toReversed()), ["c", "e"])
    assert.deepEqual(peers([...spans, server("z", 0, 4)]), ["z"])
  })
})

const ROUND_TRIPS = [undefined, 0, 0.02, 0.1]

/** Small swarms of few distinct numbers, so that ties are common. */
const swarms = FastCheck.record({
  spans: FastCheck.array(
    FastCheck.record({
      from: FastCheck.integer({ min: 0, max: 5 }),
      length: FastCheck.integer({ min: 1, max: 4 }),
      decodeRate: FastCheck.constantFrom(0, 100, 200),
      freeTokens: FastCheck.constantFrom(0, 4096),
      queue: FastCheck.constantFrom(0, 0, 2),
      trip: FastCheck.constantFrom(...ROUND_TRIPS)
    }),
    { maxLength: 9 }
  ),
  links: FastCheck.array(
    FastCheck.tuple(
      FastCheck.integer({ min: 0, max: 8 }),
      FastCheck.integer({ min: 0, max: 8 }),
      FastCheck.constantFrom(0.01, 0.1, 1)
    ),
    { maxLength: 6 }
  ),
  from: FastCheck.integer({ min: 0, max: 2 }),
  length: FastCheck.integer({ min: 1, max: 6 })
})

/** A candidate by its index, and the blocks used of it. */
interface Used {
  readonly index: number
  readonly from: number
  readonly to: number
}

/** Every chain that covers `blocks`. */
const allChains = (
  candidates: ReadonlyArray<Candidate>,
  from: number,
  to: number,
  partial: boolean
): Array<Array<Used>> =>
  from === to
    ? [[]]
    : candidates.flatMap(({ blocks }, index) => {
        if (partial ? blocks.from > from || blocks.to <= from : blocks.from !== from || blocks.to > to) return []
        const ends = partial ? Array.from({ length: blocks.to - from }, (_, more) => from + 1 + more) : [blocks.to]
        return ends.flatMap((end) =>
          allChains(candidates, end, to, partial).map((rest) => [{ index, from, to: end }, ...rest])
        )
      })

/** Order among equals: from the start on, the lesser index, then more blocks. */
const isBefore = (a: ReadonlyArray<Used>, b: ReadonlyArray<Used>): boolean => {
  for (const [i, one] of a.entries()) {
    const other = b[i]
    if (other === undefined) return false
    if (one.index !== other.index) return one.index < other.index
    if (one.to !== other.to) return one.to > other.to
  }
  return false
}

describe("buildGraph() and shortestChain()", () => {
  it.each([
    ["whole spans", false],
    ["parts of spans", true]
  ])("equal the best of all chains of %s, ties included", (_, partial) => {
    let found = 0
    FastCheck.assert(
      FastCheck.property(swarms, ({ spans, links, from, length }) => {
        const blocks = { from, to: from + length }
        const announcements = spans.map(({ from, length, decodeRate, freeTokens, queue }, index) =>
          server(`p${index}`, from, from + length, { decodeRate, freeTokens, queue })
        )
        const client = new Map<string, number>()
        for (const [index, { trip }] of spans.entries()) if (trip !== undefined) client.set(`p${index}`, trip)
        const servers = new Map<string, Map<string, number>>()
        for (const [sender, receiver, seconds] of links) {
          const to = `p${receiver}`
          servers.set(to, (servers.get(to) ?? new Map<string, number>()).set(`p${sender}`, seconds))
        }
        const weighing = { trips: { client, servers }, costs: defaultCosts, bytes: 1e5 }
        const request = { model: "model", blocks, tokens: 128, partial }
        const { candidates } = selectCandidates(announcements, request, makeBans(), 0, false)
        let best: { readonly chain: ReadonlyArray<Used>; readonly cost: number } | undefined
        for (const chain of allChains(candidates, blocks.from, blocks.to, partial)) {
          let cost = 0
          let before: Candidate | undefined
          for (const { index, from, to } of chain) {
            const candidate = candidates[index]
            if (candidate === undefined) throw new Error("No such candidate")
            const overClient =
              (before === undefined ? 0 : returnCost(before, weighing)) + entryCost(candidate, weighing)
            const link =
              before === undefined || before === candidate ? undefined : linkCost(before, candidate, weighing)
            cost += Math.min(overClient, link ?? Number.POSITIVE_INFINITY)
            cost += (to - from) * blockCost(candidate, weighing)
            before = candidate
          }
          if (before !== undefined) cost += returnCost(before, weighing)
          if (best === undefined || cost < best.cost || (cost === best.cost && isBefore(chain, best.chain)))
            best = { chain, cost }
        }
        const chain = shortestChain(buildGraph(candidates, blocks, weighing, partial))
        assert.deepEqual(
          chain?.hops,
          best?.chain.flatMap(({ index, from, to }) => {
            const candidate = candidates[index]
            return candidate === undefined ? [] : [{ ...candidate, blocks: { from, to } }]
          })
        )
        assert.strictEqual(chain?.seconds, best === undefined ? undefined : best.cost / 1e9)
        if (!partial) assert.strictEqual(missingBlocks(candidates, blocks).length === 0, best !== undefined)
        if (best !== undefined) found++
      }),
      { numRuns: 2000, seed: 7 }
    )
    assert.isAbove(found, 200)
  })
})

describe("missingBlocks()", () => {
  const missing = (spans: ReadonlyArray<readonly [number, number]>, from: number, to: number) =>
    missingBlocks(
      spans.map(([from, to]) => ({ blocks: { from, to } })),
      { from, to }
    ).map(({ from, to }) => [from, to])

  it("names each range that no span covers", () => {
    assert.deepEqual(missing([], 0, 8), [[0, 8]])
    assert.deepEqual(
      missing(
        [
          [1, 3],
          [2, 4],
          [6, 7]
        ],
        0,
        8
      ),
      [
        [0, 1],
        [4, 6],
        [7, 8]
      ]
    )
  })

  it("names the narrowest range that joins a chain, where every block is covered", () => {
    assert.deepEqual(
      missing(
        [
          [0, 3],
          [2, 5]
        ],
        0,
        5
      ),
      [[0, 2]]
    )
    assert.deepEqual(
      missing(
        [
          [0, 4],
          [3, 8],
          [8, 10],
          [4, 7]
        ],
        0,
        10
      ),
      [[7, 8]]
    )
  })

  it("once served, lets a chain through", () => {
    const spans = FastCheck.array(
      FastCheck.tuple(FastCheck.integer({ min: 0, max: 9 }), FastCheck.integer({ min: 1, max: 5 }))
    )
    FastCheck.assert(
      FastCheck.property(spans, (pairs) => {
        const blocks = { from: 0, to: 10 }
        const served = pairs.map(([from, length]) => ({ blocks: { from, to: Math.min(10, from + length) } }))
        const holes = missingBlocks(served, blocks)
        for (const hole of holes) assert.isBelow(hole.from, hole.to)
        const filled = [...served, ...holes.map((blocks) => ({ blocks }))]
        const rest = missingBlocks(filled, blocks)
        // Holes that are filled leave at most spans that do not meet, and then one range joins them
        assert.deepEqual(missingBlocks([...filled, ...rest.map((blocks) => ({ blocks }))], blocks), [])
      }),
      { numRuns: 500 }
    )
  })
})
