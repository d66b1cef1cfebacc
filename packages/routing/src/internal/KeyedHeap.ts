/**
 * A binary heap of nodes whose keys change.
 * @module
 */

/** Nodes by (`first`, then `second`), least first. A node is in it at most once. All operations take O(log size). */
export class KeyedHeap {
  readonly #node: Array<number> = []
  /** Place of a node in the heap; -1 or undefined: not in it. */
  readonly #at: Array<number> = []
  readonly #first: Array<number> = []
  readonly #second: Array<number> = []

  /** The least node; -1 if there is none. */
  get top(): number {
    return this.#node[0] ?? -1
  }

  /** First key of the least node; Infinity if there is none. */
  get topKey(): number {
    return this.#node.length === 0 ? Number.POSITIVE_INFINITY : this.#first[this.#node[0]!]!
  }

  /** Second key of the least node. */
  get topSecond(): number {
    return this.#second[this.#node[0]!]!
  }

  /** Puts `node` in, or changes its keys. */
  set(node: number, first: number, second: number): void {
    this.#first[node] = first
    this.#second[node] = second
    let at = this.#at[node] ?? -1
    if (at < 0) at = this.#node.push(node) - 1
    this.#sink(this.#rise(at, node), node)
  }

  /** Takes `node` out, if it is in. */
  delete(node: number): void {
    const at = this.#at[node] ?? -1
    if (at < 0) return
    this.#at[node] = -1
    const last = this.#node.pop()!
    if (last !== node) this.#sink(this.#rise(at, last), last)
  }

  #isLess(a: number, b: number): boolean {
    const difference = this.#first[a]! - this.#first[b]!
    return difference < 0 || (difference === 0 && this.#second[a]! < this.#second[b]!)
  }

  #rise(from: number, node: number): number {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const above = this.#node[parent]!
      if (!this.#isLess(node, above)) break
      this.#node[at] = above
      this.#at[above] = at
      at = parent
    }
    this.#node[at] = node
    this.#at[node] = at
    return at
  }

  #sink(from: number, node: number): void {
    const size = this.#node.length
    let at = from
    for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && this.#isLess(this.#node[child + 1]!, this.#node[child]!)) child++
      const below = this.#node[child]!
      if (!this.#isLess(below, node)) break
      this.#node[at] = below
      this.#at[below] = at
      at = child
    }
    this.#node[at] = node
    this.#at[node] = at
  }
}
