/**
 * Defaults and checks of what `load` takes.
 * @module
 */
import type { LoadOptions } from "../Engine.ts"

/** What the layers need to know. */
export interface Threading {
  readonly threads: number
  readonly spinning: boolean
}

/** Throws `RangeError` for a number of threads that is none. */
export const threading = ({ spinning = false, threads = 1 }: LoadOptions): Threading => {
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new RangeError(`Cannot load a graph with ${threads} threads: 1 to 1024`)
  }
  return { threads, spinning }
}
