/**
 * The swarm graph: spans of servers between block boundaries.
 *
 * Nodes are the boundaries ("all blocks before b are done; the next server is open") and the spans ("this server's blocks are
 * next, the activations are there"). Where the delay between two servers is not known, it is taken to be that of the
 * receiving one, so n servers that follow m others need n + m edges by way of the boundary instead of n · m.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import type { Costs } from "./Costs.ts"
import { delayOf, rateOr } from "./Costs.ts"
import type { Candidate } from "./candidates.ts"
import type { Edges } from "./dijkstra.ts"
import { dijkstra, EdgeList } from "./dijkstra.ts"

/** Measured round trips in seconds. */
export interface RoundTrips {
  /** Between this client and a peer. */
  readonly client: ReadonlyMap<string, number>
  /** Between two servers: receiver, then sender. */
  readonly servers?: ReadonlyMap<string, ReadonlyMap<string, number>>
}

/** @see buildGraph */
export interface SwarmGraph {
  readonly candidates: ReadonlyArray<Candidate>
  readonly edges: EdgeList
  readonly nodes: number
  readonly start: number
  readonly goal: number
}

/** Costs are whole nanoseconds. */
const nanoseconds = (seconds: number): number => Math.round(seconds * 1e9)

/** Time in a hop before its compute, apart from the way there: overhead, and penalties for lack of room and for a ban overlooked. */
const entrance = (candidate: Candidate, costs: Costs): number =>
  costs.overhead + (candidate.hasRoom ? 0 : costs.noRoom) + candidate.banSeconds

/** Compute time of one token, behind the steps that wait: `(1 + queue) · blocks / decodeRate`. */
const compute = ({ blocks, decodeRate, queue }: Candidate, costs: Costs): number =>
  ((1 + queue) * (blocks.to - blocks.from)) / rateOr(decodeRate, costs.unknownRate)

/** Time to enter `candidate` from a server or the client whose own round trip to it is not known, in nanoseconds. */
export const entryCost = (candidate: Candidate, trips: RoundTrips, costs: Costs): number =>
  nanoseconds(delayOf(candidate.address, trips.client.get(candidate.peer), costs) + entrance(candidate, costs))

/** Time to enter `candidate` from the server `sender`, in nanoseconds. */
export const linkCost = (sender: Candidate, candidate: Candidate, trips: RoundTrips, costs: Costs): number => {
  const measured = trips.servers?.get(candidate.peer)?.get(sender.peer)
  if (measured === undefined) return entryCost(candidate, trips, costs)
  return nanoseconds(delayOf(candidate.address, measured, costs) + entrance(candidate, costs))
}

/** Time in `candidate`, in nanoseconds. */
export const computeCost = (candidate: Candidate, costs: Costs): number => nanoseconds(compute(candidate, costs))

/** Time from the last server back to the client, in nanoseconds. */
export const returnCost = ({ address, peer }: Candidate, trips: RoundTrips, costs: Costs): number =>
  nanoseconds(delayOf(address, trips.client.get(peer), costs))

/**
 * Builds the graph of the chains that cover `blocks`. Every candidate lies within them.
 * Nodes: candidates in their order, then the boundaries from `blocks.from` to `blocks.to`; the first boundary is the start, the last the goal.
 */
export const buildGraph = (
  candidates: ReadonlyArray<Candidate>,
  blocks: BlockRange,
  trips: RoundTrips,
  costs: Costs
): SwarmGraph => {
  const edges = new EdgeList()
  const boundary = (block: number): number => candidates.length + block - blocks.from
  const endingAt = new Map<number, Array<number>>()
  for (const [node, candidate] of candidates.entries()) {
    const { from, to } = candidate.blocks
    const ending = endingAt.get(to)
    if (ending === undefined) endingAt.set(to, [node])
    else ending.push(node)
    const back = to === blocks.to ? returnCost(candidate, trips, costs) : 0
    edges.add(node, boundary(to), computeCost(candidate, costs) + back)
    if (from === blocks.from || !trips.servers?.has(candidate.peer)) {
      edges.add(boundary(from), node, entryCost(candidate, trips, costs))
    }
  }
  if (trips.servers !== undefined) {
    for (const [node, candidate] of candidates.entries()) {
      if (candidate.blocks.from === blocks.from || !trips.servers.has(candidate.peer)) continue
      for (const before of endingAt.get(candidate.blocks.from) ?? []) {
        const sender = candidates[before]
        if (sender === undefined) continue
        edges.add(before, node, computeCost(sender, costs) + linkCost(sender, candidate, trips, costs))
      }
    }
  }
  const nodes = candidates.length + blocks.to - blocks.from + 1
  return { candidates, edges, nodes, start: boundary(blocks.from), goal: boundary(blocks.to) }
}

/** The first candidate, in order of preference, that continues a best chain from `node`. */
const continuation = (graph: SwarmGraph, forward: Edges, toGoal: Float64Array, node: number): number | undefined => {
  let best: number | undefined
  for (let edge = forward.first[node]!; edge < forward.first[node + 1]!; edge++) {
    const target = forward.target[edge]!
    if (target === graph.goal || forward.cost[edge]! + toGoal[target]! !== toGoal[node]) continue
    const next = target < graph.candidates.length ? target : continuation(graph, forward, toGoal, target)
    if (next !== undefined && (best === undefined || next < best)) best = next
  }
  return best
}

/** @see shortestChain */
export interface Chain {
  readonly hops: ReadonlyArray<Candidate>
  /** Expected time of one token, in seconds. */
  readonly seconds: number
}

/**
 * The chain of least cost; undefined if there is none. Among equals: from the start on, the longer span, then the lesser peer.
 * The search goes from the goal backwards, so that the choice among equals is made from the start on.
 */
export const shortestChain = (graph: SwarmGraph): Chain | undefined => {
  const toGoal = dijkstra(graph.edges.backward(graph.nodes), graph.goal)
  const total = toGoal[graph.start]
  if (total === undefined || !Number.isFinite(total)) return undefined
  const forward = graph.edges.forward(graph.nodes)
  const hops: Array<Candidate> = []
  for (
    let node = continuation(graph, forward, toGoal, graph.start);
    node !== undefined;
    node = continuation(graph, forward, toGoal, node)
  ) {
    const candidate = graph.candidates[node]
    if (candidate !== undefined) hops.push(candidate)
  }
  return { hops, seconds: total / 1e9 }
}
