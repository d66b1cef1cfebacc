/**
 * Shortest distances in a directed graph.
 * @module
 */

/** Edges in compact form: those that leave node n are `target[i]`, `cost[i]` for first[n] <= i < first[n + 1]. */
export interface Edges {
  readonly nodes: number
  /** (nodes + 1) */
  readonly first: Uint32Array
  readonly target: Uint32Array
  /** Whole numbers >= 0: sums are exact up to 2^53, so that ties are ties in whatever order they are added. */
  readonly cost: Float64Array
}

/** Collects edges and packs them. */
export class EdgeList {
  readonly #source: Array<number> = []
  readonly #target: Array<number> = []
  readonly #cost: Array<number> = []

  add(source: number, target: number, cost: number): void {
    this.#source.push(source)
    this.#target.push(target)
    this.#cost.push(cost)
  }

  /** Edges by the node that they leave. */
  forward(nodes: number): Edges {
    return pack(nodes, this.#source, this.#target, this.#cost)
  }

  /** Edges turned round: by the node that they enter. */
  backward(nodes: number): Edges {
    return pack(nodes, this.#target, this.#source, this.#cost)
  }
}

/** Counting sort by source; edges of a node keep their order. */
const pack = (
  nodes: number,
  sources: ReadonlyArray<number>,
  targets: ReadonlyArray<number>,
  costs: ReadonlyArray<number>
): Edges => {
  const first = new Uint32Array(nodes + 1)
  for (const source of sources) first[source + 1]! += 1
  for (let node = 0; node < nodes; node++) first[node + 1]! += first[node]!
  const next = first.slice()
  const target = new Uint32Array(sources.length)
  const cost = new Float64Array(sources.length)
  for (let edge = 0; edge < sources.length; edge++) {
    const at = next[sources[edge]!]!++
    target[at] = targets[edge]!
    cost[at] = costs[edge]!
  }
  return { nodes, first, target, cost }
}

/** Binary heap of nodes by key; a node may be in it more than once. */
class Heap {
  readonly #node: Array<number> = []
  readonly #key: Array<number> = []

  get size(): number {
    return this.#node.length
  }

  push(node: number, key: number): void {
    let at = this.#node.length
    this.#node.push(node)
    this.#key.push(key)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (this.#key[parent]! <= key) break
      this.#node[at] = this.#node[parent]!
      this.#key[at] = this.#key[parent]!
      at = parent
    }
    this.#node[at] = node
    this.#key[at] = key
  }

  /** Removes the node of the least key. Not to be called on an empty heap. */
  pop(): { readonly node: number; readonly key: number } {
    const top = { node: this.#node[0]!, key: this.#key[0]! }
    const node = this.#node.pop()!
    const key = this.#key.pop()!
    const size = this.#node.length
    if (size === 0) return top
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && this.#key[child + 1]! < this.#key[child]!) child++
      if (this.#key[child]! >= key) break
      this.#node[at] = this.#node[child]!
      this.#key[at] = this.#key[child]!
      at = child
    }
    this.#node[at] = node
    this.#key[at] = key
    return top
  }
}

/**
 * Distances from `source` to every node along `edges`; Infinity where there is no path. Given backward edges and the
 * goal as source, these are the distances to the goal. O((nodes + edges) · log edges).
 * @see E. W. Dijkstra, "A note on two problems in connexion with graphs", Numerische Mathematik 1, 1959
 */
export const dijkstra = (edges: Edges, source: number): Float64Array => {
  const distance = new Float64Array(edges.nodes).fill(Number.POSITIVE_INFINITY)
  const heap = new Heap()
  distance[source] = 0
  heap.push(source, 0)
  while (heap.size > 0) {
    const { node, key } = heap.pop()
    if (key > distance[node]!) continue
    for (let edge = edges.first[node]!; edge < edges.first[node + 1]!; edge++) {
      const target = edges.target[edge]!
      const through = key + edges.cost[edge]!
      if (through < distance[target]!) {
        distance[target] = through
        heap.push(target, through)
      }
    }
  }
  return distance
}
