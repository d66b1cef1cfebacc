/**
 * Round trips that this client measured: smoothed, and forgotten when they are old.
 * @module
 */

/** @see makePings */
export interface PingOptions {
  /** Weight of a new measurement, in (0, 1]. @default {0.2} */
  readonly weight?: number
  /** Seconds after which a measurement that was not renewed is forgotten. @default {300} */
  readonly expirySeconds?: number
  /** Peers remembered; beyond it those measured longest ago are forgotten. @default {16384} */
  readonly limit?: number
}

/** The list. `now` is in seconds of any clock that does not go back. */
export interface Pings {
  /** Takes a measurement in; false if it is no time. */
  readonly note: (peer: string, seconds: number, now: number) => boolean
  /** Forgets what is old, and says whose it was. */
  readonly expire: (now: number) => ReadonlyArray<string>
  /** Smoothed round trips in seconds, by peer: a view. */
  readonly roundTrips: ReadonlyMap<string, number>
}

/**
 * Makes an empty list: an exponential moving average for each peer.
 * @see Petals' `utils/ping.py`, from which weight and expiry are
 */
export const makePings = (options: PingOptions = {}): Pings => {
  const { weight = 0.2, expirySeconds = 300, limit = 16384 } = options
  const roundTrips = new Map<string, number>()
  /** When each was measured last, longest ago first. */
  const measuredAt = new Map<string, number>()

  const forget = (peer: string): void => {
    roundTrips.delete(peer)
    measuredAt.delete(peer)
  }

  return {
    note: (peer, seconds, now) => {
      if (!(seconds >= 0)) return false
      const before = roundTrips.get(peer)
      // of a peer that was out of reach, the average would never come back
      const smoothed = before === undefined || !Number.isFinite(before) ? seconds : before + weight * (seconds - before)
      roundTrips.set(peer, smoothed)
      measuredAt.delete(peer)
      measuredAt.set(peer, now)
      if (measuredAt.size > limit) for (const oldest of [...measuredAt.keys()].slice(0, 1)) forget(oldest)
      return true
    },
    expire: (now) => {
      const expired: Array<string> = []
      for (const [peer, at] of measuredAt) {
        if (at + expirySeconds > now) break
        expired.push(peer)
      }
      for (const peer of expired) forget(peer)
      return expired
    },
    roundTrips
  }
}
