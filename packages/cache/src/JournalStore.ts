/**
 * Journals that share a memory budget and spill to disk beyond it.
 * @module
 */
import { tmpdir } from "node:os"
import type { ChunkPool, Resident } from "./internal/chunkedJournal.ts"
import { makeChunkedJournal } from "./internal/chunkedJournal.ts"
import { makeSpillFile } from "./internal/SpillFile.ts"
import type { Journal } from "./Journal.ts"
import { JournalFull } from "./JournalError.ts"

/** @see makeJournalStore */
export interface JournalStoreOptions {
  /** Memory that all journals of the store may hold, in bytes. */
  readonly memoryBytes: number
  /** What they may hold on disk besides, in bytes; 0 never spills. @default {Infinity} */
  readonly diskBytes?: number
  /** Where spill files are made. @default {os.tmpdir()} */
  readonly folder?: string
}

/** All journals of a client. */
export interface JournalStore {
  /** A new, empty journal. */
  readonly journal: () => Journal
  /** Bytes allocated in memory by open journals. */
  readonly memoryBytes: () => number
  /** Bytes of open journals on disk. */
  readonly diskBytes: () => number
  /** Closes every journal and deletes the files. */
  readonly close: () => void
}

const SMALLEST_CHUNK = 4096
const GREATEST_CHUNK = 1 << 20

/**
 * Makes a store. When an append would exceed the budget, the oldest full chunks of any journal are written to disk first, synchronously:
 * 1/16 of the budget at a time, at most 1 MiB (about 1 ms), so once in hundreds of tokens. Memory exceeds the budget only while
 * it is smaller than one chunk (4 KiB or one row).
 *
 * @example Two hops of a session within 64 MiB
 * ```ts
 * import { makeJournalStore } from "@swarm/cache"
 *
 * const store = makeJournalStore({ memoryBytes: 64 * 2 ** 20 })
 * const [first, second] = [store.journal(), store.journal()]
 * first.append({ position: 0, tokens: 2, codec: "f32", payload: new Uint8Array(2 * 2304) })
 * console.log(first.end(), second.end()) // => 2 0
 * store.close()
 * ```
 */
export const makeJournalStore = (options: JournalStoreOptions): JournalStore => {
  const { memoryBytes: budget, diskBytes: diskBudget = Number.POSITIVE_INFINITY, folder = tmpdir() } = options
  if (!(budget >= 0)) throw new RangeError(`Cannot make a journal store of ${budget} bytes`)
  /** Chunks in memory, oldest first. */
  const residents = new Set<Resident>()
  const journals = new Set<Journal>()
  let memory = 0
  let disk = 0

  const full = (detail: string, cause?: unknown): JournalFull =>
    new JournalFull({ memoryBytes: memory, diskBytes: disk, detail, ...(cause === undefined ? {} : { cause }) })

  /** The oldest chunk that is full; else the oldest, whose journal then starts a new one. */
  const oldest = (): Resident | undefined => {
    for (const resident of residents) if (resident.isFull()) return resident
    for (const resident of residents) return resident
    return undefined
  }

  const pool: ChunkPool = {
    chunkBytes: Math.min(GREATEST_CHUNK, Math.max(SMALLEST_CHUNK, Math.floor(budget / 16))),
    admit: (bytes) => {
      while (memory + bytes > budget) {
        const victim = oldest()
        if (victim === undefined) return
        if (disk + victim.bytes > diskBudget) throw full(`the disk budget of ${diskBudget} bytes is used up`)
        try {
          victim.spill()
        } catch (cause) {
          throw full(cause instanceof Error ? cause.message : String(cause), cause)
        }
      }
    },
    add: (resident) => {
      residents.add(resident)
      memory += resident.bytes
    },
    remove: (resident) => {
      if (residents.delete(resident)) memory -= resident.bytes
    },
    openFile: () => makeSpillFile(folder),
    onDisk: (change) => {
      disk += change
    },
    onClose: (journal) => {
      journals.delete(journal)
    }
  }

  return {
    journal: () => {
      const journal = makeChunkedJournal(pool)
      journals.add(journal)
      return journal
    },
    memoryBytes: () => memory,
    diskBytes: () => disk,
    close: () => {
      for (const journal of [...journals]) journal.close()
    }
  }
}
