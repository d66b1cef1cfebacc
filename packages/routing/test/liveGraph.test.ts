import { assert, describe, it } from "@effect/vitest"
import type { Candidate } from "@swarm/routing"
import { buildGraph, defaultCosts, LiveGraph, preference, shortestChain } from "@swarm/routing"
import { seeded } from "./support.ts"

const BLOCKS = { from: 2, to: 14 }

/** Changes a swarm at random; after each change the chain must be that of a search from scratch, with its cost. */
const compare = (partial: boolean, linkShare: number, updates: number, seed: number) => {
  const random = seeded(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const pick = <A>(values: ReadonlyArray<A>): A => values[below(values.length)] ?? (values[0] as A)
  const client = new Map<string, number>()
  const servers = new Map<string, Map<string, number>>()
  // Few distinct numbers, so that ties are common
  const weighing = { trips: { client, servers }, costs: { ...defaultCosts, overhead: 0 }, bytes: 1000 }
  let peers = 0
  const candidate = (peer: string): Candidate => {
    const from = BLOCKS.from + below(BLOCKS.to - BLOCKS.from)
    return {
      peer,
      address: "ws://10.0.0.1:1",
      blocks: { from, to: Math.min(BLOCKS.to, from + 1 + below(5)) },
      digest: "",
      decodeRate: pick([0, 100, 200]),
      prefillRate: 1,
      queue: pick([0, 0, 1]),
      hasRoom: below(6) > 0,
      banSeconds: 0,
      slowdown: 1
    }
  }
  const bySlot = new Map<number, Candidate>()
  const initial = Array.from({ length: 30 }, () => candidate(`p${peers++}`))
  for (const [slot, made] of initial.entries()) bySlot.set(slot, made)
  const live = new LiveGraph(BLOCKS, weighing, partial, initial)
  let routes = 0
  let linked = 0
  for (let update = 0; update < updates; update++) {
    const slots = [...bySlot.keys()]
    const slot = pick(slots)
    const current = bySlot.get(slot)
    const kind = random()
    if (current === undefined || (kind < 0.06 && slots.length < 200)) {
      const made = candidate(`p${peers++}`)
      bySlot.set(live.add(made), made)
    } else if (kind < 0.12 && slots.length > 20) {
      live.remove(slot)
      bySlot.delete(slot)
    } else if (kind < 0.12 + linkShare) {
      const other = bySlot.get(pick(slots)) ?? current
      const senders = servers.get(other.peer) ?? new Map<string, number>()
      servers.set(other.peer, senders)
      if (senders.has(current.peer) && below(2) === 0) senders.delete(current.peer)
      else senders.set(current.peer, pick([0, 0.02, 0.2, 1]))
      live.linkChanged(current.peer, other.peer)
    } else if (kind < 0.7) {
      client.set(current.peer, pick([0, 0.02, 0.1, 0.2]))
      live.update(slot, current)
    } else {
      const { blocks, ...rest } = candidate(current.peer)
      const changed = { ...rest, blocks: below(4) === 0 ? blocks : current.blocks }
      bySlot.set(slot, changed)
      live.update(slot, changed)
    }
    const from = below(5) === 0 ? BLOCKS.from + below(BLOCKS.to - BLOCKS.from) : BLOCKS.from
    const clipped = [...bySlot.values()].flatMap((candidate) => {
      const { blocks } = candidate
      if (blocks.from >= from) return [candidate]
      return partial && blocks.to > from ? [{ ...candidate, blocks: { from, to: blocks.to } }] : []
    })
    const graph = buildGraph(clipped.sort(preference), { from, to: BLOCKS.to }, weighing, partial)
    const expected = shortestChain(graph)
    const chain = live.route(from)
    assert.strictEqual(chain?.seconds, expected?.seconds)
    assert.deepEqual(
      chain?.hops.map(({ peer, blocks }) => [peer, blocks.from, blocks.to]),
      expected?.hops.map(({ peer, blocks }) => [peer, blocks.from, blocks.to])
    )
    if (chain === undefined) continue
    routes++
    // No gap, no overlap
    let at = from
    for (const [index, { peer, blocks }] of chain.hops.entries()) {
      assert.strictEqual(blocks.from, at)
      assert.isAbove(blocks.to, at)
      at = blocks.to
      if (index > 0 && servers.get(peer)?.has(chain.hops[index - 1]?.peer ?? "")) linked++
    }
    assert.strictEqual(at, BLOCKS.to)
  }
  return { routes, linked }
}

describe("LiveGraph", () => {
  it("gives the route of a search from scratch after each of 12,000 changes", () => {
    assert.isAbove(compare(false, 0, 12_000, 3).routes, 6000)
  })

  it("with measured links between servers", () => {
    const { routes, linked } = compare(false, 0.3, 12_000, 4)
    assert.isAbove(routes, 6000)
    assert.isAbove(linked, 1000)
  })

  it("with parts of spans", () => {
    assert.isAbove(compare(true, 0, 4000, 5).routes, 2000)
  })

  it("with parts of spans and measured links", () => {
    const { routes, linked } = compare(true, 0.3, 4000, 6)
    assert.isAbove(routes, 2000)
    assert.isAbove(linked, 300)
  })
})
