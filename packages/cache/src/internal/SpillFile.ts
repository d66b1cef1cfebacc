/**
 * A temporary file for one journal's oldest rows.
 * @module
 */
import { randomUUID } from "node:crypto"
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from "node:fs"
import { join } from "node:path"
import { JournalUnreadable } from "../JournalError.ts"

/** Appended extents of bytes. Synchronous: an extent is read or written in one go, about 1 ms per MiB in the page cache. */
export interface SpillFile {
  readonly bytes: () => number
  /** Writes at the end and returns the offset. Throws the file system's error; the file then is as long as before. */
  readonly append: (bytes: Uint8Array) => number
  /** Fills `into` from `offset`. Throws `JournalUnreadable`. */
  readonly read: (offset: number, into: Uint8Array) => void
  /** Forgets everything from `offset` on. */
  readonly truncate: (offset: number) => void
  readonly close: () => void
}

/**
 * Creates the file in `folder`, readable by this user only. Its name is removed at once, so that nothing stays behind when
 * the process is killed; where an open file cannot be unlinked, the name goes at `close`.
 */
export const makeSpillFile = (folder: string): SpillFile => {
  const path = join(folder, `swarm-journal-${randomUUID()}`)
  const file = openSync(path, "wx+", 0o600)
  let linked = true
  let end = 0
  const unlink = (): void => {
    try {
      unlinkSync(path)
      linked = false
    } catch {}
  }
  unlink()
  return {
    bytes: () => end,
    append: (bytes) => {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(file, bytes, done, bytes.length - done, end + done)
      }
      const offset = end
      end += bytes.length
      return offset
    },
    read: (offset, into) => {
      try {
        for (let done = 0; done < into.length; ) {
          const got = readSync(file, into, done, into.length - done, offset + done)
          if (got === 0) throw new Error(`The file ends at byte ${offset + done}`)
          done += got
        }
      } catch (cause) {
        throw new JournalUnreadable({ path, detail: cause instanceof Error ? cause.message : String(cause), cause })
      }
    },
    truncate: (offset) => {
      end = Math.min(end, offset)
      ftruncateSync(file, end)
    },
    close: () => {
      end = 0
      closeSync(file)
      if (linked) unlink()
    }
  }
}
