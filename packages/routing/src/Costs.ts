/**
 * What a hop is supposed to cost.
 * @module
 */

/** Weights of the swarm graph, in seconds where nothing else is said. */
export interface Costs {
  /** One-way delay to a peer whose round trip is not known. @default {0.15} */
  readonly unknownDelay: number
  /** One-way delay to a loopback or in-memory address whose round trip is not known. @default {0.001} */
  readonly loopbackDelay: number
  /** Greatest one-way delay that is believed. @default {5} */
  readonly greatestDelay: number
  /** Fixed cost of a hop besides delay and compute. @default {0.0005} */
  readonly overhead: number
  /** Added to a hop that has not enough KV memory: a session may still get in, but late. @default {10} */
  readonly noRoom: number
  /** Tokens per second through one block, where a server does not say. @default {300} */
  readonly unknownRate: number
  /** Bytes per second to a peer that is not on this machine, where it was not measured. @default {12.5e6} */
  readonly unknownBandwidth: number
}

/**
 * Delays, rate, bandwidth and the penalty are those of Petals; its overhead of 18 ms is Python's.
 * @see https://arxiv.org/abs/2312.08361 section 3.2, and `client/routing/sequence_manager.py` of Petals 2
 */
export const defaultCosts: Costs = {
  unknownDelay: 0.15,
  loopbackDelay: 0.001,
  greatestDelay: 5,
  overhead: 0.0005,
  noRoom: 10,
  unknownRate: 300,
  unknownBandwidth: 12.5e6
}

const LOOPBACK = /^(memory:|wss?:\/\/(127\.|localhost[:/]|\[::1\])|\/ip4\/127\.|\/ip6\/::1\/)/

/** True for addresses that never leave this machine: memory, 127.0.0.0/8, ::1, localhost. */
export const isLoopback = (address: string): boolean => LOOPBACK.test(address)

/** One-way delay in seconds: half the round trip if it is known and a time. */
export const delayOf = (address: string, roundTrip: number | undefined, costs: Costs): number => {
  if (roundTrip !== undefined && roundTrip >= 0) return Math.min(roundTrip / 2, costs.greatestDelay)
  return isLoopback(address) ? costs.loopbackDelay : costs.unknownDelay
}

/** A rate that can be divided by. */
export const rateOr = (rate: number, unknown: number): number => (Number.isFinite(rate) && rate > 0 ? rate : unknown)
