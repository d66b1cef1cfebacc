/**
 * Who holds which blocks, and how fast each block is served.
 * @module
 */
import type { Announcement, BlockRange } from "@swarm/protocol"

/** A server in its place. */
export interface Placed {
  /** Identity: decides the order of sums, so that everybody gets the same ones to the bit. */
  readonly peer: string
  /** The blocks that it holds. A move keeps their number. */
  readonly blocks: BlockRange
  /** Tokens per second that it gives each of its blocks: its throughput as a whole. */
  readonly rate: number
  /** Where it is, as near as anybody knows ("eu", "eu/paris"); servers of one region are near to one another. */
  readonly region?: string
}

/** Number of blocks of a range. */
export const lengthOf = ({ from, to }: BlockRange): number => to - from

/** Throws `RangeError` unless every server's blocks lie in [0, blocks) and every rate is finite and not negative. */
export const checkPlaced = (placed: ReadonlyArray<Placed>, blocks: number): void => {
  if (!(Number.isSafeInteger(blocks) && blocks > 0))
    throw new RangeError(`A model has at least one block, not ${blocks}`)
  for (const { peer, blocks: span, rate } of placed) {
    const { from, to } = span
    if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 <= from && from < to && to <= blocks)) {
      throw new RangeError(`Server "${peer}" holds blocks ${from}:${to} of ${blocks}`)
    }
    if (!(rate >= 0 && Number.isFinite(rate))) throw new RangeError(`Server "${peer}" has a rate of ${rate}`)
  }
}

/** By peer, as sums are made. */
export const byPeer = (placed: ReadonlyArray<Placed>): ReadonlyArray<Placed> =>
  placed.toSorted((a, b) => (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0))

/** Adds `rate` to the blocks of a range. */
export const addRate = (rates: Float64Array, { from, to }: BlockRange, rate: number): void => {
  for (let block = from; block < to; block++) rates[block]! += rate
}

/**
 * Throughput of each block: the sum of its holders' rates, in tokens per second. Fresh f64 (blocks). O(blocks held).
 * @see https://arxiv.org/abs/2312.08361 section 3.2
 */
export const blockRates = (placed: ReadonlyArray<Placed>, blocks: number): Float64Array => {
  checkPlaced(placed, blocks)
  const rates = new Float64Array(blocks)
  for (const { blocks: span, rate } of byPeer(placed)) addRate(rates, span, rate)
  return rates
}

/** Holders of each block. Fresh u32 (blocks). */
export const blockHolders = (placed: ReadonlyArray<Placed>, blocks: number): Uint32Array => {
  const holders = new Uint32Array(blocks)
  for (const { blocks: span } of placed) for (let block = span.from; block < span.to; block++) holders[block]! += 1
  return holders
}

/** Throughput of the whole swarm: that of its slowest block. */
export const bottleneck = (rates: Float64Array): number =>
  rates.reduce((least, rate) => Math.min(least, rate), Infinity)

/** No placement has a bottleneck above this: all throughput spread evenly, `Σ length · rate / blocks`. Rarely reachable. */
export const evenBound = (placed: ReadonlyArray<Placed>, blocks: number): number =>
  placed.reduce((sum, { blocks: span, rate }) => sum + lengthOf(span) * rate, 0) / blocks

/** Whether a server may leave its place, as things are now: somebody else holds each of its blocks. */
export const isSpare = (server: Placed, holders: Uint32Array): boolean => {
  for (let block = server.blocks.from; block < server.blocks.to; block++) if (holders[block]! < 2) return false
  return true
}

/**
 * The servers of `model` as announced, those that join included and those that drain left out, one entry a peer.
 *
 * `rate` is what one request after another gets from the server: `decodeRate` over the mean number of its blocks that a request uses,
 * (n + 1) / 2 as in Petals, where requests enter spans anywhere; all n where spans are used whole (`whole`).
 */
export const placedOf = (
  announcements: Iterable<Announcement>,
  model: string,
  blocks: number,
  options: { readonly whole?: boolean } = {}
): ReadonlyArray<Placed> => {
  const placed = new Map<string, Placed>()
  for (const { peer, model: served, blocks: span, state, decodeRate } of announcements) {
    const to = Math.min(span.to, blocks)
    if (served !== model || (state !== "online" && state !== "joining") || !(span.from >= 0 && span.from < to)) continue
    const used = options.whole === true ? to - span.from : (to - span.from + 1) / 2
    const rate = Number.isFinite(decodeRate) && decodeRate > 0 ? decodeRate / used : 0
    placed.set(peer, { peer, blocks: { from: span.from, to }, rate })
  }
  return [...placed.values()]
}
