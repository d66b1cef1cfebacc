/**
 * The client's journal: the inputs of one hop as they were encoded on the wire, so that a replacement can be fed the same bytes.
 * @module
 */
import type { WireCodec } from "@swarm/protocol"

/** Rows [position, position + tokens) of a hop's input. All rows of an entry have the same length, `payload.length / tokens` bytes. */
export interface JournalEntry {
  /** Position of the first row, from 0. */
  readonly position: number
  /** Rows, at least 1. */
  readonly tokens: number
  readonly codec: WireCodec
  /** The codec's bytes, row after row. */
  readonly payload: Uint8Array
}

/**
 * One hop's inputs. Append-only, contiguous from 0; plain functions. Entries have no identity: rows that follow each other in
 * one codec are stored together, and `read` cuts them anew.
 */
export interface Journal {
  /** First position that is missing = tokens held. */
  readonly end: () => number
  /**
   * Appends; `entry.payload` is copied. Rows already held are cut off (duplicates are harmless). Returns false if there is a gap
   * before the entry, or if the journal is closed. Throws `BadEntry` before anything changes, and `JournalFull`: rows that fitted before
   * it are held, and the same entry may be appended again.
   */
  readonly append: (entry: JournalEntry) => boolean
  /**
   * Rows [from, end) in order, in pieces of exactly `maxTokens` except before a change of codec and at the end. `end` is that of the call.
   * Payloads are borrowed: valid until the next append. Stops early if the journal is truncated or closed meanwhile. A spill file that cannot
   * be read throws `JournalUnreadable`.
   */
  readonly read: (from: number, maxTokens: number) => Iterable<JournalEntry>
  /** Forgets rows from `position` on (a turn is taken back). */
  readonly truncate: (position: number) => void
  /** Bytes of the rows held, in memory and on disk. */
  readonly bytes: () => number
  /** Frees memory and deletes the spill file. May be called twice. */
  readonly close: () => void
}
