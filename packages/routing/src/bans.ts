/**
 * Peers to leave alone for a while.
 * @module
 */

/** @see makeBans */
export interface BanOptions {
  /** First ban after a failure, in seconds; each further failure doubles it. @default {5} */
  readonly baseSeconds?: number
  /** Longest ban, in seconds. @default {300} */
  readonly maxSeconds?: number
  /** First pause before a failed peer is tried in need, in seconds; each further failure doubles it, up to `baseSeconds`. @default {0.25} */
  readonly needSeconds?: number
}

/** A ban in force. */
export interface Ban {
  readonly kind: "failed" | "busy"
  readonly detail: string
  /** Seconds until it ends. */
  readonly seconds: number
  /**
   * Seconds until the peer may be tried where nobody else serves its blocks; 0: now. A failed peer stays out for
   * `needSeconds · 2^n` after its n-th failure in a row, at most `baseSeconds`; a busy one to the end.
   */
  readonly strictSeconds: number
}

/** The list. `now` is in seconds of any clock that does not go back. */
export interface Bans {
  /**
   * Bans for `baseSeconds · 2^n` after n failures without a success. What comes within `baseSeconds` of a failure is
   * the same failure, seen by another session, or that of a try in need.
   */
  readonly failed: (peer: string, detail: string, now: number) => void
  /** Bans until `retryAfter` seconds are over. Does not count as a failure. */
  readonly busy: (peer: string, retryAfter: number, now: number) => void
  /** Lifts the ban and forgets the failures. */
  readonly ok: (peer: string) => void
  /** The ban that holds now. */
  readonly of: (peer: string, now: number) => Ban | undefined
  /** Peers remembered. */
  readonly size: () => number
}

interface Entry {
  failures: number
  failedAt: number
  failedUntil: number
  /** From when on it may be tried in need, and the pause before that. */
  neededAt: number
  pause: number
  detail: string
  busyUntil: number
}

/** Entries beyond which those that are over are looked for and dropped. */
const SWEEP_AT = 1024

/** Makes an empty list. A peer is forgotten `maxSeconds` after its last ban ended. */
export const makeBans = (options: BanOptions = {}): Bans => {
  const { baseSeconds = 5, maxSeconds = 300, needSeconds = 0.25 } = options
  const entries = new Map<string, Entry>()
  let sweepAt = SWEEP_AT

  const sweep = (now: number): void => {
    for (const [peer, entry] of entries) {
      if (Math.max(entry.failedUntil, entry.busyUntil) + maxSeconds < now) entries.delete(peer)
    }
    sweepAt = Math.max(SWEEP_AT, 2 * entries.size)
  }

  const entryOf = (peer: string, now: number): Entry => {
    let entry = entries.get(peer)
    if (entry === undefined) {
      if (entries.size >= sweepAt) sweep(now)
      const never = Number.NEGATIVE_INFINITY
      entry = {
        failures: 0,
        failedAt: never,
        failedUntil: never,
        neededAt: never,
        pause: needSeconds / 2,
        detail: "",
        busyUntil: never
      }
      entries.set(peer, entry)
    }
    return entry
  }

  return {
    failed: (peer, detail, now) => {
      const entry = entryOf(peer, now)
      entry.detail = detail
      if (now - entry.failedUntil > maxSeconds) {
        entry.failures = 0
        entry.pause = needSeconds / 2
      }
      if (now >= entry.neededAt) {
        entry.pause = Math.min(baseSeconds, 2 * entry.pause)
        entry.neededAt = now + entry.pause
        entry.failedUntil = Math.max(entry.failedUntil, entry.neededAt)
      }
      if (now - entry.failedAt < baseSeconds) return
      entry.failedAt = now
      entry.failedUntil = now + Math.min(maxSeconds, baseSeconds * 2 ** entry.failures)
      entry.failures++
    },
    busy: (peer, retryAfter, now) => {
      const seconds = retryAfter > 0 ? Math.min(retryAfter, maxSeconds) : baseSeconds
      entryOf(peer, now).busyUntil = now + seconds
    },
    ok: (peer) => {
      entries.delete(peer)
    },
    of: (peer, now) => {
      const entry = entries.get(peer)
      if (entry === undefined) return undefined
      if (entry.failedUntil > now) {
        const strictUntil = Math.max(entry.neededAt, entry.busyUntil)
        return {
          kind: "failed",
          detail: entry.detail,
          seconds: Math.max(entry.failedUntil, entry.busyUntil) - now,
          strictSeconds: Math.max(0, strictUntil - now)
        }
      }
      if (entry.busyUntil <= now) return undefined
      const seconds = entry.busyUntil - now
      return { kind: "busy", detail: "", seconds, strictSeconds: seconds }
    },
    size: () => entries.size
  }
}
