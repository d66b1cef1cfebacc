/**
 * A journal that stays in memory, without a limit.
 * @module
 */
import { makeChunkedJournal } from "./internal/chunkedJournal.ts"
import type { Journal } from "./Journal.ts"

/** @see makeMemoryJournal */
export interface MemoryJournalOptions {
  /** Greatest allocation, in bytes. @default {1048576} */
  readonly chunkBytes?: number
}

const nothing = (): void => {}

/**
 * Makes a journal in memory. For each run of rows of one codec it allocates at most twice their bytes, or eight rows.
 *
 * @example Keep the inputs of a hop and read them back in other pieces
 * ```ts
 * import { makeMemoryJournal } from "@swarm/cache"
 *
 * const journal = makeMemoryJournal()
 * for (let position = 0; position < 10; position++) {
 *   journal.append({ position, tokens: 1, codec: "f16", payload: new Uint8Array(1152) })
 * }
 * console.log(Array.from(journal.read(0, 4), (piece) => piece.tokens)) // => [ 4, 4, 2 ]
 * ```
 */
export const makeMemoryJournal = (options: MemoryJournalOptions = {}): Journal =>
  makeChunkedJournal({
    chunkBytes: options.chunkBytes ?? 1 << 20,
    admit: nothing,
    add: nothing,
    remove: nothing,
    openFile: () => {
      throw new Error("A journal in memory has no file")
    },
    onDisk: nothing,
    onClose: nothing
  })
