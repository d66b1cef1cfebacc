/**
 * A directed graph whose edges come, go and change their cost.
 * @module
 */

/** Nodes and edges are numbers; those that were removed are used again. Costs are at least 0. */
export class Digraph {
  readonly #source: Array<number> = []
  readonly #target: Array<number> = []
  readonly #cost: Array<number> = []
  /** Where an edge stands in the lists of its two nodes. */
  readonly #atSource: Array<number> = []
  readonly #atTarget: Array<number> = []
  readonly #out: Array<Array<number>> = []
  readonly #in: Array<Array<number>> = []
  readonly #freeEdges: Array<number> = []

  /** Nodes made so far. */
  get nodes(): number {
    return this.#out.length
  }

  /** Edges that there are. */
  get edges(): number {
    return this.#source.length - this.#freeEdges.length
  }

  addNode(): number {
    this.#in.push([])
    return this.#out.push([]) - 1
  }

  addEdge(source: number, target: number, cost: number): number {
    const edge = this.#freeEdges.pop() ?? this.#source.length
    this.#source[edge] = source
    this.#target[edge] = target
    this.#cost[edge] = cost
    this.#atSource[edge] = this.outOf(source).push(edge) - 1
    this.#atTarget[edge] = this.into(target).push(edge) - 1
    return edge
  }

  removeEdge(edge: number): void {
    detach(this.outOf(this.source(edge)), this.#atSource, edge)
    detach(this.into(this.target(edge)), this.#atTarget, edge)
    this.#freeEdges.push(edge)
  }

  setCost(edge: number, cost: number): void {
    this.#cost[edge] = cost
  }

  source(edge: number): number {
    return this.#source[edge]!
  }

  target(edge: number): number {
    return this.#target[edge]!
  }

  cost(edge: number): number {
    return this.#cost[edge]!
  }

  /** Edges that leave `node`, in no order; borrowed until the next change. */
  outOf(node: number): Array<number> {
    return this.#out[node]!
  }

  /** Edges that enter `node`, in no order; borrowed until the next change. */
  into(node: number): Array<number> {
    return this.#in[node]!
  }
}

/** Takes `edge` out of `list`; the last one takes its place. */
const detach = (list: Array<number>, at: Array<number>, edge: number): void => {
  const last = list.pop()!
  if (last === edge) return
  const place = at[edge]!
  list[place] = last
  at[last] = place
}
