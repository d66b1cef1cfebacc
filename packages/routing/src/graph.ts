/**
 * The swarm graph, and the best chain through it from scratch.
 *
 * Nodes are the boundaries ("all blocks before b are done, the activations may go to any server") and the states ("this
 * server has just done block b - 1"). A boundary is entered at the cost of the way back to the client and left at that
 * of the way from it: where nobody measured the link between two servers, it is taken to be as long as the way over the
 * client, and n servers need n edges instead of n². A measured link is an edge from state to state. The shorter of both
 * counts.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import type { Candidate } from "./candidates.ts"
import type { Edges } from "./dijkstra.ts"
import { dijkstra, EdgeList } from "./dijkstra.ts"
import type { Weighing } from "./weights.ts"
import { blockCost, entryCost, linkCost, returnCost } from "./weights.ts"

/** @see buildGraph */
export interface SwarmGraph {
  readonly candidates: ReadonlyArray<Candidate>
  readonly edges: EdgeList
  readonly nodes: number
  readonly start: number
  readonly goal: number
  /** Of each node: the index of the candidate, -1 for a boundary; and the blocks before it that are done. */
  readonly candidateOf: Int32Array
  readonly doneAt: Int32Array
}

/** A run of blocks on one server. */
interface Run {
  readonly node: number
  readonly first: number
  readonly firstStop: number
}

/**
 * Builds the graph of the chains that cover `blocks`. Every candidate lies within them.
 *
 * @param partial Whether a chain may use any part of a span. One state per block then, instead of one per server.
 */
export const buildGraph = (
  candidates: ReadonlyArray<Candidate>,
  blocks: BlockRange,
  weighing: Weighing,
  partial = false
): SwarmGraph => {
  const edges = new EdgeList()
  const runs: Array<Run> = []
  let states = 0
  for (const { blocks: span } of candidates) {
    const firstStop = partial ? span.from + 1 : span.to
    runs.push({ node: states, first: span.from, firstStop })
    states += span.to - firstStop + 1
  }
  const boundary = (block: number): number => states + block - blocks.from
  const nodes = states + blocks.to - blocks.from + 1
  const candidateOf = new Int32Array(nodes).fill(-1)
  const doneAt = new Int32Array(nodes)
  for (let block = blocks.from; block <= blocks.to; block++) doneAt[boundary(block)] = block
  const byPeer = new Map<string, Array<number>>()
  for (const [index, candidate] of candidates.entries()) {
    const { node, first, firstStop } = runs[index]!
    const { to } = candidate.blocks
    const block = blockCost(candidate, weighing)
    const entry = entryCost(candidate, weighing) + (firstStop - first) * block
    const back = returnCost(candidate, weighing)
    for (let stop = firstStop; stop <= to; stop++) {
      const state = node + stop - firstStop
      candidateOf[state] = index
      doneAt[state] = stop
      edges.add(boundary(partial ? stop - 1 : first), state, entry)
      if (stop < to) edges.add(state, state + 1, block)
      edges.add(state, boundary(stop), back)
    }
    if (weighing.trips.servers === undefined) continue
    const same = byPeer.get(candidate.peer)
    if (same === undefined) byPeer.set(candidate.peer, [index])
    else same.push(index)
  }
  for (const [receiver, senders] of weighing.trips.servers ?? []) {
    for (const to of byPeer.get(receiver) ?? []) {
      for (const sender of senders.keys()) {
        for (const from of byPeer.get(sender) ?? []) addLinks(edges, candidates, runs, from, to, weighing, partial)
      }
    }
  }
  return { candidates, edges, nodes, start: boundary(blocks.from), goal: boundary(blocks.to), candidateOf, doneAt }
}

/** Edges from one server to another wherever the one can stop and the other go on. */
const addLinks = (
  edges: EdgeList,
  candidates: ReadonlyArray<Candidate>,
  runs: ReadonlyArray<Run>,
  from: number,
  to: number,
  weighing: Weighing,
  partial: boolean
): void => {
  const sender = candidates[from]!
  const receiver = candidates[to]!
  const cost = linkCost(sender, receiver, weighing)
  if (cost === undefined || from === to) return
  const source = runs[from]!
  const target = runs[to]!
  const entry = cost + (target.firstStop - target.first) * blockCost(receiver, weighing)
  const last = Math.min(sender.blocks.to, partial ? receiver.blocks.to - 1 : receiver.blocks.from)
  for (let stop = Math.max(source.firstStop, receiver.blocks.from); stop <= last; stop++) {
    edges.add(source.node + stop - source.firstStop, target.node + (partial ? stop + 1 - target.firstStop : 0), entry)
  }
}

/** @see shortestChain */
export interface Chain {
  /** `blocks`: those that the chain uses of each. */
  readonly hops: ReadonlyArray<Candidate>
  /** Expected time of one token, in seconds. */
  readonly seconds: number
}

/**
 * The chain of least cost; undefined if there is none. Among equals: from the start on, the candidate that comes first,
 * and as many blocks of it as may be. The search goes from the goal backwards, so that the choice among equals is made
 * from the start on.
 */
export const shortestChain = (graph: SwarmGraph): Chain | undefined => {
  const { candidates, candidateOf, doneAt, goal, start } = graph
  const toGoal = dijkstra(graph.edges.backward(graph.nodes), goal)
  const total = toGoal[start]
  if (total === undefined || !Number.isFinite(total)) return undefined
  const forward = graph.edges.forward(graph.nodes)
  const hops: Array<Candidate> = []
  for (let node = entered(graph, forward, toGoal, start); node !== undefined; ) {
    const candidate = candidates[candidateOf[node]!]!
    const from = hops.at(-1)?.blocks.to ?? doneAt[start]!
    for (let next = further(graph, forward, toGoal, node); next !== undefined; ) {
      node = next
      next = further(graph, forward, toGoal, node)
    }
    hops.push({ ...candidate, blocks: { from, to: doneAt[node]! } })
    node = entered(graph, forward, toGoal, node)
  }
  return { hops, seconds: total / 1e9 }
}

/** The state on another server that continues a best chain: that of the first candidate among equals. */
const entered = (graph: SwarmGraph, forward: Edges, toGoal: Float64Array, node: number): number | undefined => {
  const { candidateOf } = graph
  let best: number | undefined
  for (let edge = forward.first[node]!; edge < forward.first[node + 1]!; edge++) {
    const target = forward.target[edge]!
    if (forward.cost[edge]! + toGoal[target]! !== toGoal[node]) continue
    if (candidateOf[target] === candidateOf[node] && candidateOf[node] !== -1) continue
    const state = candidateOf[target] === -1 ? entered(graph, forward, toGoal, target) : target
    if (state !== undefined && (best === undefined || candidateOf[state]! < candidateOf[best]!)) best = state
  }
  return best
}

/** The next state on the same server, if it continues a best chain. */
const further = (graph: SwarmGraph, forward: Edges, toGoal: Float64Array, node: number): number | undefined => {
  for (let edge = forward.first[node]!; edge < forward.first[node + 1]!; edge++) {
    const target = forward.target[edge]!
    if (graph.candidateOf[target] !== graph.candidateOf[node]) continue
    if (forward.cost[edge]! + toGoal[target]! === toGoal[node]) return target
  }
  return undefined
}
