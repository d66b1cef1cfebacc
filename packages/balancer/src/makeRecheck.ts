/**
 * Keeps servers from all moving at once.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"

/** @see makeRecheck */
export interface RecheckOptions {
  /** Mean time between checks, in seconds; each wait is uniform in 0 to twice this. @default {60} */
  readonly meanSeconds?: number
  /** Wait before a wish to move is looked at again: uniform between half of this and this. @default {20} */
  readonly confirmSeconds?: number
  /** So often a wish must be confirmed, on fresh knowledge each time, before the server moves. @default {2} */
  readonly confirmations?: number
  /** Longest wait before a wish is looked at again, where a check is urgent; half of it at least. @default {2} */
  readonly urgentSeconds?: number
  /** No move so soon after the last one, in seconds. @default {600} */
  readonly restSeconds?: number
  /** Uniform in [0, 1). @default {Math.random} */
  readonly random?: () => number
}

/** When to look next, and whether to move now. */
export interface Verdict {
  readonly move: BlockRange | undefined
  /** Seconds until the next check. */
  readonly waitSeconds: number
}

/** The state of one server's checks. `now` is in seconds of any clock that does not go back. */
export interface Recheck {
  /** The wait before the first check, in seconds. */
  readonly first: () => number
  /**
   * Takes the wish that a check came to (undefined: stay). Somebody else who moved first will have changed it by the next check.
   *
   * @param isUrgent Nobody serves some blocks: one confirmation is enough, it is looked for within `urgentSeconds`, and nobody rests.
   */
  readonly wish: (target: BlockRange | undefined, now: number, isUrgent?: boolean) => Verdict
  /** Notes that a move is over, whether it succeeded or not. */
  readonly moved: (now: number) => void
}

/**
 * Makes the guard. Servers that see the same swarm wish the same at the same time; random waits let one go first, whose announcement ("joining"
 * counts as served) takes the reason away from the others before they confirm.
 */
export const makeRecheck = (options: RecheckOptions = {}): Recheck => {
  const { meanSeconds = 60, confirmSeconds = 20, confirmations = 2, restSeconds = 600, random = Math.random } = options
  const { urgentSeconds = 2 } = options
  let confirmed = 0
  let restUntil = Number.NEGATIVE_INFINITY
  const usual = (): number => 2 * meanSeconds * random()
  return {
    first: usual,
    wish: (target, now, isUrgent = false) => {
      if (target === undefined || (now < restUntil && !isUrgent)) {
        confirmed = 0
        return { move: undefined, waitSeconds: usual() }
      }
      if (confirmed < (isUrgent ? 1 : confirmations)) {
        confirmed++
        return { move: undefined, waitSeconds: (isUrgent ? urgentSeconds : confirmSeconds) * (0.5 + random() / 2) }
      }
      confirmed = 0
      return { move: target, waitSeconds: usual() }
    },
    moved: (now) => {
      confirmed = 0
      restUntil = now + restSeconds
    }
  }
}
