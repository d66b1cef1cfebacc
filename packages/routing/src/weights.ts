/**
 * What edges of the swarm graph cost: whole nanoseconds, so that sums are exact and equal chains are equal.
 * @module
 */
import type { Costs } from "./Costs.ts"
import { delayOf, isLoopback, rateOr } from "./Costs.ts"
import type { Candidate } from "./candidates.ts"

/** What was measured between peers. Round trips in seconds, bandwidths in bytes per second. */
export interface RoundTrips {
  /** Between this client and a peer. */
  readonly client: ReadonlyMap<string, number>
  /** Between two servers: receiver, then sender. */
  readonly servers?: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** Of a peer's own line. */
  readonly bandwidth?: ReadonlyMap<string, number>
}

/** What the weights of one request depend on. */
export interface Weighing {
  readonly trips: RoundTrips
  readonly costs: Costs
  /** Bytes on the wire of one step. @default 0 */
  readonly bytes?: number
}

/** A block is not supposed to take longer, in seconds, whatever a server says of itself: sums stay below 2^53 ns. */
const GREATEST_BLOCK_SECONDS = 1000
/** Nor is the transfer of a step. */
const GREATEST_TRANSFER_SECONDS = 1000

const nanoseconds = (seconds: number): number => Math.round(seconds * 1e9)

const transfer = (bytes: number, bandwidth: number): number =>
  bytes === 0 ? 0 : Math.min(bytes / bandwidth, GREATEST_TRANSFER_SECONDS)

const bandwidthOf = ({ peer, address }: Candidate, { trips, costs }: Weighing): number => {
  const measured = trips.bandwidth?.get(peer)
  if (measured !== undefined && measured > 0) return measured
  return isLoopback(address) ? Number.POSITIVE_INFINITY : costs.unknownBandwidth
}

/** One way between the client and `candidate`: half the round trip, and the transfer. */
const way = (candidate: Candidate, weighing: Weighing): number => {
  const { trips, costs, bytes = 0 } = weighing
  const delay = delayOf(candidate.address, trips.client.get(candidate.peer), costs)
  return delay + transfer(bytes, bandwidthOf(candidate, weighing))
}

/**
 * Time in a hop besides the way there and its compute: overhead, and penalties for lack of room and for a ban
 * overlooked.
 */
const entrance = ({ hasRoom, banSeconds }: Candidate, { costs }: Weighing): number =>
  costs.overhead + (hasRoom ? 0 : costs.noRoom) + banSeconds

/** Time to enter `candidate` from the client. */
export const entryCost = (candidate: Candidate, weighing: Weighing): number =>
  nanoseconds(way(candidate, weighing) + entrance(candidate, weighing))

/** Time of one token in one block of `candidate`, behind the steps that wait: `(1 + queue) · slowdown / decodeRate`. */
export const blockCost = ({ decodeRate, queue, slowdown }: Candidate, { costs }: Weighing): number =>
  nanoseconds(Math.min(((1 + queue) * slowdown) / rateOr(decodeRate, costs.unknownRate), GREATEST_BLOCK_SECONDS))

/** Time from `candidate` back to the client. */
export const returnCost = (candidate: Candidate, weighing: Weighing): number => nanoseconds(way(candidate, weighing))

/** Time to enter `candidate` straight from the server `sender`; undefined if nobody measured that link. */
export const linkCost = (sender: Candidate, candidate: Candidate, weighing: Weighing): number | undefined => {
  const { trips, costs, bytes = 0 } = weighing
  const measured = trips.servers?.get(candidate.peer)?.get(sender.peer)
  if (measured === undefined) return undefined
  const bandwidth = Math.min(bandwidthOf(sender, weighing), bandwidthOf(candidate, weighing))
  const seconds = delayOf(candidate.address, measured, costs) + transfer(bytes, bandwidth)
  return nanoseconds(seconds + entrance(candidate, weighing))
}
