/**
 * Shortest paths to a goal that are kept up to date while costs change and the start moves.
 * @module
 */
import type { Digraph } from "./Digraph.ts"
import { KeyedHeap } from "./internal/KeyedHeap.ts"

/** A lower bound of the cost from one node to another, at any time; consistent: `h(a, c) <= h(a, b) + h(b, c)`. */
export type Heuristic = (from: number, to: number) => number

const none: Heuristic = () => 0

/**
 * D* Lite, in the form that computes a node anew only if the successor that it relied on got worse.
 *
 * Change the graph through this class. Costs are whole numbers at least 0, or Infinity for an edge that cannot be
 * taken: sums of whole numbers are exact, so distances are those of a search from scratch, to the bit. There must be no
 * cycle of cost 0: its nodes would keep one another at a distance that nothing else supports. `settle` visits only
 * nodes whose distance changes, each at most twice.
 * @see S. Koenig, M. Likhachev, "D* Lite", AAAI 2002; its optimized version: "Fast replanning for navigation in unknown
 *   terrain", 2005
 */
export class DStarLite {
  readonly #graph: Digraph
  readonly #goal: number
  readonly #heuristic: Heuristic
  /** Distances as they were last propagated ("g") and one step ahead of that ("rhs"). Equal: the node is settled. */
  readonly #distance: Array<number> = []
  readonly #ahead: Array<number> = []
  readonly #queue = new KeyedHeap()
  #start: number
  /** Sum of the ways that the start has moved: keys made before are too small by no more than this ("km"). */
  #moved = 0
  #visits = 0

  constructor(graph: Digraph, start: number, goal: number, heuristic: Heuristic = none) {
    this.#graph = graph
    this.#start = start
    this.#goal = goal
    this.#heuristic = heuristic
    for (let node = 0; node < graph.nodes; node++) this.#know(node)
    this.#ahead[goal] = 0
    this.#place(goal)
  }

  /** Nodes visited so far: the work done. */
  get visits(): number {
    return this.#visits
  }

  /**
   * Distance from `node` to the goal. Right for the start and every node on a shortest path from it, after `settle`.
   */
  distance(node: number): number {
    return this.#distance[node] ?? Number.POSITIVE_INFINITY
  }

  addNode(): number {
    const node = this.#graph.addNode()
    this.#know(node)
    return node
  }

  addEdge(source: number, target: number, cost: number): number {
    const edge = this.#graph.addEdge(source, target, Number.POSITIVE_INFINITY)
    this.setCost(edge, cost)
    return edge
  }

  removeEdge(edge: number): void {
    this.setCost(edge, Number.POSITIVE_INFINITY)
    this.#graph.removeEdge(edge)
  }

  setCost(edge: number, cost: number): void {
    const before = this.#graph.cost(edge)
    if (before === cost) return
    const source = this.#graph.source(edge)
    const beyond = this.#distance[this.#graph.target(edge)]!
    this.#graph.setCost(edge, cost)
    if (source === this.#goal) return
    if (cost < before) this.#ahead[source] = Math.min(this.#ahead[source]!, cost + beyond)
    else if (this.#ahead[source] === before + beyond) this.#ahead[source] = this.#best(source)
    this.#place(source)
  }

  /** The next paths are wanted from `node`. */
  moveStart(node: number): void {
    if (node === this.#start) return
    this.#moved += this.#heuristic(this.#start, node)
    this.#start = node
  }

  /**
   * Brings the distances up to date and returns that of the start, Infinity if the goal cannot be reached. Goes on
   * through ties, so that every shortest path can be followed and not only one.
   */
  settle(): number {
    const graph = this.#graph
    const distance = this.#distance
    const ahead = this.#ahead
    while (this.#queue.topKey <= this.#startKey() && this.#queue.top >= 0) {
      const node = this.#queue.top
      const lesser = Math.min(distance[node]!, ahead[node]!)
      const key = lesser + this.#heuristic(this.#start, node) + this.#moved
      if (this.#queue.topKey < key) {
        this.#queue.set(node, key, lesser)
        continue
      }
      this.#visits++
      if (distance[node]! > ahead[node]!) {
        distance[node] = ahead[node]!
        this.#queue.delete(node)
        for (const edge of graph.into(node)) {
          const before = graph.source(edge)
          if (before === this.#goal) continue
          const through = graph.cost(edge) + distance[node]!
          if (through >= ahead[before]!) continue
          ahead[before] = through
          this.#place(before)
        }
      } else {
        const old = distance[node]!
        distance[node] = Number.POSITIVE_INFINITY
        this.#place(node)
        for (const edge of graph.into(node)) {
          const before = graph.source(edge)
          if (before === this.#goal || ahead[before] !== graph.cost(edge) + old) continue
          ahead[before] = this.#best(before)
          this.#place(before)
        }
      }
    }
    return distance[this.#start]!
  }

  /** The key up to which the queue must be worked off. */
  #startKey(): number {
    return Math.max(this.#distance[this.#start]!, this.#ahead[this.#start]!) + this.#moved
  }

  #know(node: number): void {
    this.#distance[node] = Number.POSITIVE_INFINITY
    this.#ahead[node] = Number.POSITIVE_INFINITY
  }

  /** The least cost by way of a successor. */
  #best(node: number): number {
    let best = Number.POSITIVE_INFINITY
    for (const edge of this.#graph.outOf(node)) {
      const through = this.#graph.cost(edge) + this.#distance[this.#graph.target(edge)]!
      if (through < best) best = through
    }
    return best
  }

  /** Queues `node` if it is not settled. */
  #place(node: number): void {
    const lesser = Math.min(this.#distance[node]!, this.#ahead[node]!)
    if (this.#distance[node] === this.#ahead[node]) this.#queue.delete(node)
    else this.#queue.set(node, lesser + this.#heuristic(this.#start, node) + this.#moved, lesser)
  }
}
