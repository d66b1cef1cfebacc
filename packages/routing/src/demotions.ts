/**
 * Peers that are slower than they say.
 * @module
 */

/** @see makeDemotions */
export interface DemotionOptions {
  /** A peer is demoted when it takes more than so many times what it promised. @default {3} */
  readonly demoteAbove?: number
  /** It is restored when it takes less than so many times that. @default {1.5} */
  readonly restoreBelow?: number
  /** Steps seen before a verdict. @default {5} */
  readonly leastSteps?: number
  /** Weight of a new step in the average, in (0, 1]. @default {0.2} */
  readonly weight?: number
  /** What a step may take besides its compute, such as the waking of processes. @default {0.01} */
  readonly slackSeconds?: number
  /**
   * A demoted peer is not used and so never seen again: it gets another try so many seconds after its last step.
   * @default {120}
   */
  readonly retrySeconds?: number
}

/** A demotion in force. */
export interface Demotion {
  /** How many times slower than promised. */
  readonly slowdown: number
  /** For people. */
  readonly reason: string
}

/** The list. `now` is in seconds of any clock that does not go back. */
export interface Demotions {
  /**
   * Takes a step in: it took `seconds` where `promised` were expected. True if the peer was demoted or restored by it.
   */
  readonly note: (peer: string, seconds: number, promised: number, now: number) => boolean
  /** The demotion that holds now. */
  readonly of: (peer: string, now: number) => Demotion | undefined
  /** Gives those another try whose time has come, and says who they are. */
  readonly retry: (now: number) => ReadonlyArray<string>
}

interface Entry {
  /** Seconds for each second promised, the slack allowed for. */
  ratio: number
  /** The same without the slack is so many times as much. */
  scale: number
  steps: number
  isDemoted: boolean
  at: number
}

/** Peers remembered; beyond it those seen longest ago are forgotten. */
const LIMIT = 16384

/** One wild step counts no more than this. */
const GREATEST_RATIO = 100
/** Nor is any peer taken to be slower. */
const GREATEST_SLOWDOWN = 1e6

/**
 * Makes an empty list. Two thresholds apart, so that a peer near one of them does not come and go; after another try,
 * one slow step is enough to demote again.
 */
export const makeDemotions = (options: DemotionOptions = {}): Demotions => {
  const {
    demoteAbove = 3,
    restoreBelow = 1.5,
    leastSteps = 5,
    weight = 0.2,
    slackSeconds = 0.01,
    retrySeconds = 120
  } = options
  /** By the time of the last step, longest ago first. */
  const entries = new Map<string, Entry>()

  return {
    note: (peer, seconds, promised, now) => {
      if (!(seconds >= 0 && promised > 0)) return false
      const ratio = Math.min(seconds / (promised + slackSeconds), GREATEST_RATIO)
      const entry = entries.get(peer) ?? { ratio, scale: 1, steps: 0, isDemoted: false, at: now }
      entry.ratio += weight * (ratio - entry.ratio)
      entry.scale = (promised + slackSeconds) / promised
      entry.steps++
      entry.at = now
      entries.delete(peer)
      entries.set(peer, entry)
      if (entries.size > LIMIT) for (const oldest of [...entries.keys()].slice(0, 1)) entries.delete(oldest)
      const wasDemoted = entry.isDemoted
      if (wasDemoted) entry.isDemoted = entry.ratio >= restoreBelow
      else entry.isDemoted = entry.steps >= leastSteps && entry.ratio > demoteAbove
      return entry.isDemoted !== wasDemoted
    },
    of: (peer, now) => {
      const entry = entries.get(peer)
      if (entry === undefined || !entry.isDemoted || entry.at + retrySeconds <= now) return undefined
      const slowdown = Math.min(entry.ratio * entry.scale, GREATEST_SLOWDOWN)
      return { slowdown, reason: `takes ${slowdown.toFixed(1)} times as long as it says` }
    },
    retry: (now) => {
      const again: Array<string> = []
      for (const [peer, entry] of entries) {
        if (entry.at + retrySeconds > now) break
        if (entry.isDemoted) again.push(peer)
        entries.delete(peer)
        // on probation: the next slow step demotes it again
        if (entry.isDemoted)
          entries.set(peer, { ratio: restoreBelow, scale: 1, steps: leastSteps, isDemoted: false, at: now })
      }
      return again
    }
  }
}
