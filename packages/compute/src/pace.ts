/**
 * Which runs are short enough for the calling thread.
 *
 * Handing a run to another thread and back costs some tenths of a millisecond, more on a virtual machine whose idle
 * processors must be woken: a tenth of a decode step. A run of a few milliseconds delays nobody by more than itself.
 * @module
 */

/** Runs expected to take less happen on the calling thread, in milliseconds. */
const SHORT = 6
/** Weight of the latest run. */
const SMOOTHING = 0.2
/** Runs of more rows are not looked at: they are long. */
const MOST_ROWS = 64

export interface Pace {
  /** Runs and times; `run` is told whether to stay on this thread. */
  readonly time: (rows: number, run: (blocking: boolean) => Promise<void>) => Promise<void>
}

export const makePace = (always: boolean): Pace => {
  /** Smoothed milliseconds by number of rows. */
  const expected: Array<number | undefined> = []
  return {
    time: async (rows, run) => {
      if (always || rows > MOST_ROWS) return run(always)
      const before = expected[rows]
      const started = performance.now()
      await run(before !== undefined && before < SHORT)
      const took = performance.now() - started
      expected[rows] = before === undefined ? took : before + SMOOTHING * (took - before)
    }
  }
}
