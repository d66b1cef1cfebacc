/**
 * Asking a second server when the first one is late.
 * @module
 */

/** @see makeHedge */
export interface HedgeOptions {
  /** A request is late when it takes longer than this share of those before. @default {0.95} */
  readonly quantile?: number
  /**
   * Second requests for each first one, at most: late requests must not double the load of a swarm that is slow as a
   * whole. @default {0.05}
   */
  readonly share?: number
  /** Requests remembered. @default {64} */
  readonly window?: number
  /** Requests before the first verdict. @default {8} */
  readonly least?: number
}

/** When to ask a second server. */
export interface Hedge {
  /** Takes in how long a first request took, in seconds. */
  readonly note: (seconds: number) => void
  /** Seconds after which a request is late; undefined while too few are known. */
  readonly delay: () => number | undefined
  /** Counts a first request. */
  readonly started: () => void
  /** Whether a second request may be sent now; counts it if so. */
  readonly take: () => boolean
}

/** Second requests that may be saved up. */
const MOST_SAVED = 4

/**
 * Makes a policy that knows nothing yet.
 * @see J. Dean, L. A. Barroso, "The Tail at Scale", CACM 2013: hedged requests after the 95th percentile
 */
export const makeHedge = (options: HedgeOptions = {}): Hedge => {
  const { quantile = 0.95, share = 0.05, window = 64, least = 8 } = options
  const seen: Array<number> = []
  let next = 0
  let saved = 1
  return {
    note: (seconds) => {
      if (!(seconds >= 0)) return
      seen[next] = seconds
      next = (next + 1) % window
    },
    delay: () => {
      if (seen.length < least) return undefined
      const sorted = seen.toSorted((a, b) => a - b)
      return sorted[Math.min(Math.ceil(quantile * sorted.length), sorted.length) - 1]
    },
    started: () => {
      saved = Math.min(saved + share, MOST_SAVED)
    },
    take: () => {
      if (saved < 1) return false
      saved--
      return true
    }
  }
}

/**
 * Runs `first`; if it is late, `second` too, and gives the result that comes first. The other is told by its signal. A
 * failure counts only when nothing else runs: `first` failing early starts `second` at once and costs nothing of the
 * share. Rejects with the last failure.
 */
export const hedged = <A>(
  hedge: Hedge,
  first: (signal: AbortSignal) => Promise<A>,
  second: (signal: AbortSignal) => Promise<A>
): Promise<A> =>
  new Promise((resolve, reject) => {
    const stop = new AbortController()
    const started = performance.now()
    let running = 0
    let hasSecond = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      settle()
      stop.abort()
    }
    const run = (attempt: (signal: AbortSignal) => Promise<A>, isFirst: boolean): void => {
      running++
      attempt(stop.signal).then(
        (result) => {
          if (isFirst) hedge.note((performance.now() - started) / 1000)
          end(() => resolve(result))
        },
        (failure: unknown) => {
          running--
          if (stop.signal.aborted) return
          if (!hasSecond) runSecond()
          else if (running === 0) end(() => reject(failure))
        }
      )
    }
    const runSecond = (): void => {
      clearTimeout(timer)
      hasSecond = true
      run(second, false)
    }
    hedge.started()
    const delay = hedge.delay()
    run(first, true)
    if (delay === undefined) return
    timer = setTimeout(() => {
      if (!hasSecond && hedge.take()) runSecond()
    }, delay * 1000)
  })
