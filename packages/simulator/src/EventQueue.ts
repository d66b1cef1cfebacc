/**
 * What will happen, by time.
 * @module
 */

interface Entry {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Events in the order of their times, those of the same time in the order in which they were added. A binary heap: O(log n) each. */
export class EventQueue {
  readonly #heap: Array<Entry> = []
  #order = 0
  /** Virtual seconds. */
  now = 0
  /** Events that have happened. */
  count = 0

  /** Has `run` called `seconds` from now. */
  after(seconds: number, run: () => void): void {
    if (!(seconds >= 0)) throw new RangeError(`Nothing can happen ${seconds} s from now`)
    const entry = { at: this.now + seconds, order: this.#order++, run }
    let at = this.#heap.length
    this.#heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!isBefore(entry, this.#heap[parent]!)) break
      this.#heap[at] = this.#heap[parent]!
      at = parent
    }
    this.#heap[at] = entry
  }

  /** Has the next event happen if it comes by `until`. False if there is none. */
  step(until: number): boolean {
    const next = this.#heap[0]
    if (next === undefined || next.at > until) return false
    this.#pop()
    this.now = next.at
    this.count++
    next.run()
    return true
  }

  #pop(): void {
    const last = this.#heap.pop()!
    const size = this.#heap.length
    if (size === 0) return
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && isBefore(this.#heap[child + 1]!, this.#heap[child]!)) child++
      if (!isBefore(this.#heap[child]!, last)) break
      this.#heap[at] = this.#heap[child]!
      at = child
    }
    this.#heap[at] = last
  }
}
