/**
 * A binary heap of merge candidates in flat arrays.
 * @module
 */

/** Yields the highest score first, among equals the leftmost. `take` puts the entry into `left` and `end`. */
export class BestFirst {
  /** Start of the candidate last taken. */
  left = 0
  /** End of the candidate last taken. */
  end = 0
  readonly #score: Array<number> = []
  readonly #left: Array<number> = []
  readonly #end: Array<number> = []

  /** Adds a candidate. O(log n). */
  push(score: number, left: number, end: number): void {
    let i = this.#score.length
    this.#set(i, score, left, end)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#before(i, parent)) return
      this.#swap(i, parent)
      i = parent
    }
  }

  /** Removes the best candidate; false if there is none. O(log n). */
  take(): boolean {
    const last = this.#score.length - 1
    if (last < 0) return false
    this.#swap(0, last)
    this.#score.pop()
    this.left = this.#left.pop() ?? 0
    this.end = this.#end.pop() ?? 0
    for (let i = 0; ; ) {
      let best = i
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < last && this.#before(child, best)) best = child
      if (best === i) return true
      this.#swap(i, best)
      i = best
    }
  }

  #before(a: number, b: number): boolean {
    const x = this.#score[a] ?? 0
    const y = this.#score[b] ?? 0
    return x > y || (x === y && (this.#left[a] ?? 0) < (this.#left[b] ?? 0))
  }

  #set(i: number, score: number, left: number, end: number): void {
    this.#score[i] = score
    this.#left[i] = left
    this.#end[i] = end
  }

  #swap(a: number, b: number): void {
    const score = this.#score[a] ?? 0
    const left = this.#left[a] ?? 0
    const end = this.#end[a] ?? 0
    this.#set(a, this.#score[b] ?? 0, this.#left[b] ?? 0, this.#end[b] ?? 0)
    this.#set(b, score, left, end)
  }
}
