/**
 * What can go wrong with journals.
 * @module
 */
import * as Data from "effect/Data"

/** An entry whose numbers do not fit together. *Never*: the sender breaks the protocol. */
export class BadEntry extends Data.TaggedError("BadEntry")<{
  readonly field: "position" | "tokens" | "payload"
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot journal an entry with such a "${this.field}": ${this.detail}`
  }
}

/** Memory is used up and rows cannot be moved to disk. *Later*: close sessions, free the disk, or raise the budget. */
export class JournalFull extends Data.TaggedError("JournalFull")<{
  /** Bytes that all journals of the store hold in memory. */
  readonly memoryBytes: number
  /** Bytes that they hold on disk. */
  readonly diskBytes: number
  readonly detail: string
  /** The file system's error, if there was one. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot keep more rows (${this.memoryBytes} bytes in memory, ${this.diskBytes} on disk): ${this.detail}`
  }
}

/** Rows on disk cannot be read back. *Never*: the session cannot be replayed from this journal. */
export class JournalUnreadable extends Data.TaggedError("JournalUnreadable")<{
  readonly path: string
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot read spilled rows from "${this.path}": ${this.detail}`
  }
}

export type JournalError = BadEntry | JournalFull | JournalUnreadable
