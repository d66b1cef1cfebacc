/**
 * The cheapest server for every range of blocks, kept while servers come, go and change.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"

/** A server's offer: a range costs `fixed + blocks · perBlock`. Whole numbers. */
export interface Offer {
  readonly blocks: BlockRange
  readonly fixed: number
  readonly perBlock: number
}

const eachPart = ({ from, to }: BlockRange, visit: (from: number, to: number) => void): void => {
  for (let a = from; a < to; a++) for (let b = a + 1; b <= to; b++) visit(a, b)
}

/** Lowers every element of `row` to that of `below`. */
const lower = (row: Float64Array, below: Float64Array): void => {
  for (let i = 0; i < row.length; i++) if (below[i]! < row[i]!) row[i] = below[i]!
}

/** Offers compared one by one at the bottom of the tree. */
const LEAF = 64

/**
 * A tournament over offers for each range [a, b) of [from, to): every node of a binary tree holds the least cost of its
 * offers for each range. A change touches the ranges of that offer only: O((64 + log offers) · ranges), one range for
 * whole spans, n(n + 1) / 2 of a part of n blocks with `partial`. Memory: 8 bytes for each range and 32 offers.
 */
export class SpanTable {
  readonly #blocks: BlockRange
  readonly #partial: boolean
  readonly #length: number
  readonly #ranges: number
  readonly #offers: Array<Offer | undefined> = []
  /**
   * Rows of the tree: 1 is the root, 2i and 2i + 1 are below i, the lowest are `#width` to `2 · #width - 1`. A missing
   * row is all Infinity.
   */
  #rows: Array<Float64Array | undefined> = [undefined, undefined]
  #width = 1

  constructor(blocks: BlockRange, partial: boolean, offers: ReadonlyArray<Offer> = []) {
    this.#blocks = blocks
    this.#partial = partial
    this.#length = blocks.to - blocks.from
    this.#ranges = (this.#length * (this.#length + 1)) / 2
    this.#offers.push(...offers)
    while (this.#width * LEAF < offers.length) this.#width *= 2
    this.#build()
  }

  /** Least cost of the range [from, to); Infinity if nobody offers it. */
  cost(from: number, to: number): number {
    return this.#rows[1]?.[this.#range(from, to)] ?? Number.POSITIVE_INFINITY
  }

  /** Cost of the range at `slot`. */
  costAt(slot: number, from: number, to: number): number {
    return this.#costOf(this.#offers[slot], from, to)
  }

  /** Calls `visit` for every slot that offers the range at its least cost. */
  best(from: number, to: number, visit: (slot: number) => void): void {
    const range = this.#range(from, to)
    const cost = this.cost(from, to)
    if (!Number.isFinite(cost)) return
    const walk = (row: number): void => {
      if (this.#rows[row]?.[range] !== cost) return
      if (row < this.#width) {
        walk(2 * row)
        walk(2 * row + 1)
        return
      }
      const first = (row - this.#width) * LEAF
      for (let slot = first; slot < first + LEAF; slot++) {
        if (this.#costOf(this.#offers[slot], from, to) === cost) visit(slot)
      }
    }
    walk(1)
  }

  /**
   * Changes, adds or removes (undefined) the offer at `slot`; calls `changed` for each range whose least cost is
   * another now.
   */
  set(slot: number, offer: Offer | undefined, changed: (from: number, to: number, cost: number) => void): void {
    const before = this.#offers[slot]
    this.#offers[slot] = offer
    if (slot >= this.#width * LEAF) {
      while (this.#width * LEAF <= slot) this.#width *= 2
      const root = this.#rows[1]
      this.#rows = []
      this.#build()
      this.#compare(root, changed)
      return
    }
    const update = (from: number, to: number): void => {
      const cost = this.#update(slot, before, from, to)
      if (cost !== undefined) changed(from, to, cost)
    }
    if (before !== undefined) this.#eachRange(before.blocks, update)
    if (offer === undefined) return
    const { from, to } = offer.blocks
    if (before === undefined || before.blocks.from !== from || before.blocks.to !== to)
      this.#eachRange(offer.blocks, update)
  }

  #range(from: number, to: number): number {
    const a = from - this.#blocks.from
    return a * this.#length - (a * (a - 1)) / 2 + to - from - 1
  }

  #costOf(offer: Offer | undefined, from: number, to: number): number {
    if (offer === undefined) return Number.POSITIVE_INFINITY
    const { blocks } = offer
    const offered = this.#partial ? blocks.from <= from && to <= blocks.to : blocks.from === from && blocks.to === to
    return offered ? offer.fixed + (to - from) * offer.perBlock : Number.POSITIVE_INFINITY
  }

  #eachRange(blocks: BlockRange, visit: (from: number, to: number) => void): void {
    if (this.#partial) eachPart(blocks, visit)
    else visit(blocks.from, blocks.to)
  }

  /** The row at `index`, made if it is not there. */
  #row(index: number): Float64Array {
    const found = this.#rows[index]
    if (found !== undefined) return found
    const row = new Float64Array(this.#ranges).fill(Number.POSITIVE_INFINITY)
    this.#rows[index] = row
    return row
  }

  /** Brings one range up to date from the leaf of `slot` upwards. Gives the new least cost if it changed. */
  #update(slot: number, before: Offer | undefined, from: number, to: number): number | undefined {
    const range = this.#range(from, to)
    const leaf = Math.floor(slot / LEAF)
    const known = this.#rows[this.#width + leaf]?.[range] ?? Number.POSITIVE_INFINITY
    let least = this.#costOf(this.#offers[slot], from, to)
    if (least >= known) {
      // the least of the leaf is another's, and stays
      if (this.#costOf(before, from, to) > known) return undefined
      for (let other = leaf * LEAF; other < (leaf + 1) * LEAF; other++) {
        const cost = this.#costOf(this.#offers[other], from, to)
        if (cost < least) least = cost
      }
    }
    for (let index = this.#width + leaf; ; index >>>= 1) {
      const row = this.#row(index)
      if (row[range] === least) return undefined
      row[range] = least
      if (index === 1) return least
      const beside = this.#rows[index ^ 1]?.[range] ?? Number.POSITIVE_INFINITY
      if (beside < least) least = beside
    }
  }

  #build(): void {
    for (const [slot, offer] of this.#offers.entries()) {
      if (offer === undefined) continue
      const row = this.#row(this.#width + Math.floor(slot / LEAF))
      const { fixed, perBlock } = offer
      this.#eachRange(offer.blocks, (from, to) => {
        const range = this.#range(from, to)
        row[range] = Math.min(row[range]!, fixed + (to - from) * perBlock)
      })
    }
    for (let index = this.#width - 1; index >= 1; index--) {
      const left = this.#rows[2 * index]
      const right = this.#rows[2 * index + 1]
      if (left === undefined && right === undefined) continue
      const row = this.#row(index)
      for (const below of [left, right]) if (below !== undefined) lower(row, below)
    }
  }

  #compare(before: Float64Array | undefined, changed: (from: number, to: number, cost: number) => void): void {
    eachPart(this.#blocks, (a, b) => {
      const cost = this.cost(a, b)
      if (cost !== (before?.[this.#range(a, b)] ?? Number.POSITIVE_INFINITY)) changed(a, b, cost)
    })
  }
}
