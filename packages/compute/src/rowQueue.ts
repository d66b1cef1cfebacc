/**
 * Requests for rows that share runs: what waits when a run begins goes into it together.
 * @module
 */
import { setImmediate } from "node:timers/promises"

/** x: f32 (rows, columns in), borrowed until `out`: f32 (rows, columns out) is filled. */
export interface Piece {
  readonly rows: number
  readonly x: Float32Array
  readonly out: Float32Array
}

interface Waiting {
  readonly piece: Piece
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

/**
 * @param most rows of one run
 * @param run fills the pieces it is given; one call at a time
 */
export const rowQueue = (most: number, run: (pieces: ReadonlyArray<Piece>) => Promise<void>) => {
  const waiting: Array<Waiting> = []
  let current: Promise<void> | undefined

  const loop = async (): Promise<void> => {
    while (waiting.length > 0) {
      let rows = 0
      let count = 0
      for (const { piece } of waiting) {
        if (count > 0 && rows + piece.rows > most) break
        rows += piece.rows
        count++
      }
      const taken = waiting.splice(0, count)
      try {
        await run(taken.map(({ piece }) => piece))
        for (const { resolve } of taken) resolve()
      } catch (cause) {
        for (const { reject } of taken) reject(cause)
      }
      await setImmediate()
    }
    current = undefined
  }

  return {
    add: (piece: Piece): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting.push({ piece, resolve, reject })
        // after the sockets that are readable now: other sessions' rows may be among what they bring
        current ??= setImmediate().then(loop)
      }),
    /** Settles when nothing waits and no run is under way. */
    idle: async (): Promise<void> => {
      while (current !== undefined) await current
    }
  }
}
