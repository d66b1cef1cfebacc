/**
 * Routes over a large swarm: from scratch by Dijkstra's algorithm, and kept up to date by D* Lite. 10,000 servers of an
 * 80-block model, spans of many lengths, known and unknown round trips.
 *
 *     node --import tsx --conditions=swarm-src bench/routing.ts [servers]
 *
 * "first" is what a client pays for its first route: it reads the announcements, builds the graph, searches. "update"
 * is one change (a round trip measured, a rate or queue announced, a server that comes or goes) and the next route.
 * Both ways must give the same time per token. `--expose-gc` lets it collect its own garbage before it times updates.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import type { Candidate } from "@swarm/routing"
import {
  buildGraph,
  defaultCosts,
  LiveGraph,
  makeBans,
  makeRoutePlanner,
  planRoute,
  preference,
  selectCandidates,
  shortestChain
} from "@swarm/routing"

const servers = Number(process.argv[2] ?? 10_000)
const blocks = { from: 0, to: 80 }
/** Timed updates, then as many as are compared with a search from scratch, fifty updates apart. */
const UPDATES = 12_000
const CHECKED = 40
const APART = 50

let state = 42
const random = (): number => {
  state = (state * 48271) % 2147483647
  return (state - 1) / 2147483646
}
const below = (n: number): number => Math.floor(random() * n)

/** Half of the swarm keeps to multiples of four, the other half begins anywhere. */
const span = (index: number): { readonly from: number; readonly to: number } => {
  const length = [4, 8, 10, 16, 20, 40][below(6)] ?? 8
  const from = index % 2 === 0 ? 4 * below((blocks.to - length) / 4 + 1) : below(blocks.to - length + 1)
  return { from, to: from + length }
}

const announcement = (index: number): Announcement => ({
  peer: `peer-${index}`,
  addresses: [`ws://10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:4000`],
  model: "model",
  modelName: "model",
  modelBlocks: blocks.to,
  blocks: span(index),
  state: "online",
  decodeRate: 200 + 2000 * random(),
  prefillRate: 20_000,
  digest: "",
  freeTokens: below(8192),
  maxTokens: 8192,
  sessions: below(8),
  queue: below(3),
  version: "0.1.0",
  timeToLive: 30
})
const announcements = Array.from({ length: servers }, (_, index) => announcement(index))

/** Every third server's round trip is known. */
const roundTrips = (): Map<string, number> =>
  new Map(announcements.filter(() => random() < 0.3).map(({ peer }) => [peer, 0.2 * random()]))

/** `receivers` servers know the round trips of `each` others. */
const measured = (receivers: number, each: number): Map<string, Map<string, number>> =>
  new Map(
    Array.from({ length: receivers }, (_, index) => [
      `peer-${Math.floor((index * servers) / receivers)}`,
      new Map(Array.from({ length: each }, () => [`peer-${below(servers)}`, 0.05 * random()]))
    ])
  )

const bans = makeBans()
for (let i = 0; i < servers / 100; i++) bans.failed(`peer-${below(servers)}`, "gone", 0)

const print = (fields: Record<string, unknown>): void => console.log(JSON.stringify({ bench: "routing", ...fields }))
const milliseconds = (value: number): number => Number(value.toPrecision(3))

const quantiles = (times: ReadonlyArray<number>) => {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => milliseconds(sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN)
  return { median: at(0.5), p99: at(0.99), worst: at(1) }
}

const timed = <A>(work: () => A): readonly [A, number] => {
  const start = performance.now()
  const result = work()
  return [result, performance.now() - start]
}

interface Cost {
  /** Milliseconds on the clock, and of processor time in all threads of this process: on a busy machine the one holds pauses. */
  readonly wall: number
  readonly cpu: number
}

const costOf = (work: () => unknown): Cost => {
  const before = process.cpuUsage()
  const [, wall] = timed(work)
  const { user, system } = process.cpuUsage(before)
  return { wall, cpu: (user + system) / 1000 }
}

const scenario = (name: string, partial: boolean, links: Map<string, Map<string, number>>): void => {
  const client = roundTrips()
  const weighing = { trips: { client, servers: links }, costs: defaultCosts, bytes: 16_384 }
  const request = { model: "model", blocks, tokens: 1024, partial }
  const select = (): ReadonlyArray<Candidate> => selectCandidates(announcements, request, bans, 1, false).candidates

  const [[candidates, live, first], firstMilliseconds] = timed(() => {
    const candidates = select()
    const live = new LiveGraph(blocks, weighing, partial, candidates)
    return [candidates, live, live.route()] as const
  })
  const current = new Map(candidates.entries())
  const scratch = () => shortestChain(buildGraph([...current.values()].sort(preference), blocks, weighing, partial))
  const [chain, dijkstraMilliseconds] = timed(scratch)
  if (chain?.seconds !== first?.seconds) throw new Error("The two searches differ")

  const update = (index: number): Cost | undefined => {
    // Every fourth change hits the chain in use: those are the changes that move it
    const used = index % 4 === 0 ? live.route()?.hops[0]?.peer : undefined
    let slot = below(servers)
    for (const [at, { peer }] of used === undefined ? [] : current) if (peer === used) slot = at
    const candidate = current.get(slot)
    if (candidate === undefined) return undefined
    const kind = index % 3
    const changed = kind === 0 ? candidate : { ...candidate, decodeRate: 200 + 2000 * random(), queue: below(3) }
    if (kind === 0) client.set(candidate.peer, 0.2 * random())
    current.set(slot, changed)
    return costOf(() => {
      if (kind === 1 && index % 2 === 0) {
        live.remove(slot)
        live.add(changed)
      } else live.update(slot, changed)
      return live.route()
    })
  }
  // a client has planned before; what was made for it is not an update's garbage
  for (let index = 0; index < APART; index++) update(index)
  globalThis.gc?.()
  const before = live.visits
  const costs = Array.from({ length: UPDATES }, (_, index) => update(index)).filter((cost) => cost !== undefined)
  const nodesPerUpdate = milliseconds((live.visits - before) / UPDATES)
  const fromScratch: Array<number> = []
  for (let check = 0; check < CHECKED; check++) {
    for (let index = 0; index < APART; index++) update(index)
    const [chain, time] = timed(scratch)
    fromScratch.push(time)
    if (chain?.seconds !== live.route()?.seconds) throw new Error("The two searches differ")
  }
  print({
    name,
    servers,
    hops: first?.hops.length ?? 0,
    firstMs: milliseconds(firstMilliseconds),
    updates: costs.length,
    updateMs: quantiles(costs.map(({ wall }) => wall)),
    updateCpuMs: quantiles(costs.map(({ cpu }) => cpu)),
    over1Ms: costs.filter(({ wall, cpu }) => Math.min(wall, cpu) > 1).length,
    nodesPerUpdate,
    dijkstraMs: { first: milliseconds(dijkstraMilliseconds), ...quantiles(fromScratch) },
    heapMB: Math.round(process.memoryUsage().arrayBuffers / 2 ** 20)
  })
}

/**
 * The planner of the layer: every plan looks through all announcements for what is new; every second time, 100 servers
 * announce themselves anew.
 */
const planner = (): void => {
  const made = makeRoutePlanner({ bans, trips: { client: roundTrips() }, costs: defaultCosts, random })
  const request = { model: "model", blocks, tokens: 1024, bytes: 16_384 }
  const known = [...announcements]
  const [, first] = timed(() => made.plan(request, known, 1))
  const same: Array<number> = []
  const anew: Array<number> = []
  for (let plan = 0; plan < 400; plan++) {
    const isAnew = plan % 2 === 1
    for (let peer = 0; isAnew && peer < 100; peer++) {
      const index = below(servers)
      const old = known[index]
      if (old !== undefined) known[index] = { ...old, queue: below(3), freeTokens: below(8192) }
    }
    const [, time] = timed(() => made.plan(request, known, 1))
    if (isAnew) anew.push(time)
    else same.push(time)
  }
  print({
    name: "planner",
    servers,
    firstMs: milliseconds(first),
    planMs: quantiles(same),
    with100NewMs: quantiles(anew)
  })
}

const throughput = (): void => {
  const times = Array.from({ length: 12 }, () => {
    const request = { model: "model", blocks, tokens: 1024, goal: "throughput" } as const
    const knowledge = { announcements, bans, trips: { client: new Map() }, costs: defaultCosts, now: 1, random }
    return timed(() => planRoute(request, knowledge))[1]
  })
  print({ name: "throughput, drawn from scratch", servers, drawMs: quantiles(times) })
}

scenario("whole spans", false, new Map())
scenario("whole spans, 300 servers with measured links", false, measured(300, 3))
scenario("whole spans, all servers with measured links", false, measured(servers, 5))
scenario("parts of spans", true, new Map())
scenario("parts of spans, 300 servers with measured links", true, measured(300, 3))
planner()
throughput()
