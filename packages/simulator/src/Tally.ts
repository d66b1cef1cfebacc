/**
 * What a simulation counts.
 * @module
 */

/** Values kept for quantiles; of more, an even sample. */
const KEPT = 65_536

/** Quantiles of many values. */
class Sample {
  readonly #kept: Array<number> = []
  readonly #random: () => number
  count = 0

  constructor(random: () => number) {
    this.#random = random
  }

  add(value: number): void {
    this.count++
    if (this.#kept.length < KEPT) this.#kept.push(value)
    else {
      // Vitter's reservoir: each value is kept with the same probability
      const at = Math.floor(this.#random() * this.count)
      if (at < KEPT) this.#kept[at] = value
    }
  }

  /** The value below which a share of the values lies; 0 of none. */
  quantile(share: number): number {
    const sorted = this.#kept.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  }
}

/** Counters of one run. */
export class Tally {
  started = 0
  finished = 0
  /** Gave up because nobody served some blocks for too long. */
  stranded = 0
  tokens = 0
  /** Generated and lost again, by starting anew. */
  wasted = 0
  recoveries = 0
  /** Lives of all finished sessions, summed. */
  sessionSeconds = 0
  /** Tokens per second of a session, from its start to its end. */
  readonly rates: Sample
  readonly firstToken: Sample
  readonly pauses: Sample

  constructor(random: () => number) {
    this.rates = new Sample(random)
    this.firstToken = new Sample(random)
    this.pauses = new Sample(random)
  }
}
