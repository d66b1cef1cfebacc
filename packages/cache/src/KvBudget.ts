/**
 * A server's account of KV memory: who reserved how much, what is free, when to come again, who is idle.
 * @module
 */

/** @see makeKvBudget */
export interface KvBudgetOptions {
  /** KV bytes of one token in the span's blocks. */
  readonly bytesPerToken: number
  /** KV bytes of all sessions together. */
  readonly totalBytes: number
  /** A reservation that is not used for so many seconds counts as expired. @default {600} */
  readonly idleSeconds?: number
  /** Lifetime in seconds that a session is supposed to have before one has ended. @default {30} */
  readonly expectedSeconds?: number
}

/** KV memory that belongs to a session until it is freed. */
export interface Reservation {
  readonly session: string
  readonly tokens: number
  readonly bytes: number
  /** When it was made, in the seconds of the caller's clock. */
  readonly since: number
}

/**
 * Accounting only: it allocates nothing, sets no timer and reads no clock. `now` is in seconds of any clock that does not go back.
 * Every call costs O(1) but `expired`, which looks at all idle reservations.
 */
export interface KvBudget {
  /** Takes memory for `tokens` tokens, or says "full": try again after `retryAfter`. Throws `RangeError` if `tokens` is not a positive integer. */
  readonly reserve: (session: string, tokens: number, now: number) => Reservation | "full"
  /** Gives the memory back. False if it was given back before: harmless. */
  readonly free: (reservation: Reservation, now: number) => boolean
  /** Notes that the session did something. */
  readonly touch: (reservation: Reservation, now: number) => void
  /** Reservations not touched for `idleSeconds`, longest idle first. They stay reserved until freed. */
  readonly expired: (now: number) => ReadonlyArray<Reservation>
  /** Seconds after which room for `tokens` is likely, from 1 to 60; Infinity if it can never be. A guess: sessions end at the rate of the past. */
  readonly retryAfter: (tokens: number, now: number) => number
  /** Tokens that can be reserved now. */
  readonly freeTokens: () => number
  /** Tokens that can be reserved when nobody is there: the longest possible session. */
  readonly capacityTokens: number
  readonly usedBytes: () => number
  readonly sessions: () => number
}

/** Weight of the latest lifetime in the average. */
const SMOOTHING = 0.2

/**
 * Makes an empty account.
 *
 * `retryAfter` is Little's law: `used` tokens that stay for `lifetime` seconds on average become free at `used / lifetime` tokens per
 * second, so what is short of comes after `short · lifetime / used`.
 *
 * @example Reserve, be full, free
 * ```ts
 * import { makeKvBudget } from "@swarm/cache"
 *
 * const budget = makeKvBudget({ bytesPerToken: 23040, totalBytes: 2048 * 23040 })
 * const first = budget.reserve("a", 1536, 0)
 * console.log(budget.reserve("b", 1024, 1), budget.freeTokens()) // => full 512
 * if (first !== "full") budget.free(first, 2)
 * console.log(budget.freeTokens()) // => 2048
 * ```
 */
export const makeKvBudget = (options: KvBudgetOptions): KvBudget => {
  const { bytesPerToken, totalBytes, idleSeconds = 600 } = options
  if (!(bytesPerToken > 0) || !(totalBytes >= 0)) {
    throw new RangeError(`Cannot account for ${totalBytes} bytes in tokens of ${bytesPerToken} bytes`)
  }
  const capacityTokens = Math.floor(totalBytes / bytesPerToken)
  /** Last use of each reservation, the longest idle first: `touch` moves to the end. */
  const lastUse = new Map<Reservation, number>()
  let usedTokens = 0
  let lifetime = options.expectedSeconds ?? 30

  return {
    reserve: (session, tokens, now) => {
      if (!Number.isSafeInteger(tokens) || tokens < 1) throw new RangeError(`Cannot reserve ${tokens} tokens`)
      if (tokens > capacityTokens - usedTokens) return "full"
      const reservation: Reservation = { session, tokens, bytes: tokens * bytesPerToken, since: now }
      lastUse.set(reservation, now)
      usedTokens += tokens
      return reservation
    },
    free: (reservation, now) => {
      if (!lastUse.delete(reservation)) return false
      usedTokens -= reservation.tokens
      lifetime += SMOOTHING * (Math.max(0, now - reservation.since) - lifetime)
      return true
    },
    touch: (reservation, now) => {
      if (!lastUse.delete(reservation)) return
      lastUse.set(reservation, now)
    },
    expired: (now) => {
      const idle: Array<Reservation> = []
      for (const [reservation, last] of lastUse) {
        if (now - last < idleSeconds) break
        idle.push(reservation)
      }
      return idle
    },
    retryAfter: (tokens, now) => {
      if (tokens > capacityTokens) return Number.POSITIVE_INFINITY
      const short = tokens - (capacityTokens - usedTokens)
      if (short <= 0) return 1
      const [longestIdle] = lastUse.values()
      const untilExpiry = longestIdle === undefined ? Number.POSITIVE_INFINITY : longestIdle + idleSeconds - now
      const untilEnded = (short * lifetime) / usedTokens
      return Math.min(60, Math.max(1, Math.min(untilEnded, untilExpiry)))
    },
    freeTokens: () => capacityTokens - usedTokens,
    capacityTokens,
    usedBytes: () => usedTokens * bytesPerToken,
    sessions: () => lastUse.size
  }
}
