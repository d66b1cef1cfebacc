/**
 * A journal in growing chunks of rows, whose memory a pool accounts for and may take back.
 * @module
 */
import type { WireCodec } from "@swarm/protocol"
import type { Journal, JournalEntry } from "../Journal.ts"
import { BadEntry } from "../JournalError.ts"
import type { SpillFile } from "./SpillFile.ts"

/** A chunk's memory as the pool sees it. */
export interface Resident {
  /** Bytes allocated. */
  readonly bytes: number
  /** No row will be added to it. */
  readonly isFull: () => boolean
  /** Moves the rows to disk and lets the memory go. Throws the file system's error and changes nothing. */
  readonly spill: () => void
}

/** Memory shared by journals. */
export interface ChunkPool {
  /** Greatest chunk, in bytes; a row that is longer has a chunk of its own. */
  readonly chunkBytes: number
  /** Makes room before an allocation. Throws `JournalFull`. */
  readonly admit: (bytes: number) => void
  readonly add: (resident: Resident) => void
  readonly remove: (resident: Resident) => void
  /** Opens the spill file of a journal. */
  readonly openFile: () => SpillFile
  /** Called with the change of a journal's bytes on disk. */
  readonly onDisk: (change: number) => void
  readonly onClose: (journal: Journal) => void
}

/** Rows of the first chunk; each next one has twice as many, until `chunkBytes`. */
const FIRST_ROWS = 8

interface Chunk extends Resident {
  readonly codec: WireCodec
  readonly rowBytes: number
  readonly position: number
  /** Rows that it can hold. */
  readonly capacity: number
  rows: number
  /** (capacity, rowBytes); undefined when the rows are on disk. */
  data: Uint8Array | undefined
  /** Where the rows are in the file when they are on disk. */
  offset: number
}

const bytesPerRow = (entry: JournalEntry): number => {
  const { position, tokens, payload } = entry
  if (!Number.isSafeInteger(position) || position < 0)
    throw new BadEntry({ field: "position", detail: String(position) })
  if (!Number.isSafeInteger(tokens) || tokens < 1) throw new BadEntry({ field: "tokens", detail: String(tokens) })
  if (payload.length === 0 || payload.length % tokens !== 0) {
    throw new BadEntry({ field: "payload", detail: `${payload.length} bytes cannot be ${tokens} rows of one length` })
  }
  return payload.length / tokens
}

/** An empty journal over `pool`. Appending a row costs one copy of it; objects are made per chunk, not per row. */
export const makeChunkedJournal = (pool: ChunkPool): Journal => {
  const chunks: Array<Chunk> = []
  let end = 0
  let bytes = 0
  let file: SpillFile | undefined
  let closed = false

  const makeChunk = (codec: WireCodec, rowBytes: number, capacity: number): Chunk => {
    const size = capacity * rowBytes
    pool.admit(size)
    const chunk: Chunk = {
      codec,
      rowBytes,
      position: end,
      capacity,
      rows: 0,
      data: new Uint8Array(size),
      offset: 0,
      bytes: size,
      isFull: () => chunk.rows === chunk.capacity || chunk !== chunks.at(-1),
      spill: () => {
        if (chunk.data === undefined) return
        file ??= pool.openFile()
        chunk.offset = file.append(chunk.data.subarray(0, chunk.rows * rowBytes))
        pool.onDisk(chunk.rows * rowBytes)
        chunk.data = undefined
        pool.remove(chunk)
      }
    }
    chunks.push(chunk)
    pool.add(chunk)
    return chunk
  }

  /** The chunk that takes the next rows: the last one if they continue it, else a new one. */
  const chunkFor = (codec: WireCodec, rowBytes: number, rows: number): Chunk => {
    const last = chunks.at(-1)
    const continues = last !== undefined && last.codec === codec && last.rowBytes === rowBytes
    if (continues && last.data !== undefined && last.rows < last.capacity) return last
    const most = Math.max(1, Math.floor(pool.chunkBytes / rowBytes))
    return makeChunk(codec, rowBytes, Math.min(most, Math.max(rows, continues ? 2 * last.capacity : FIRST_ROWS)))
  }

  const append = (entry: JournalEntry): boolean => {
    const rowBytes = bytesPerRow(entry)
    if (closed || entry.position > end) return false
    for (let row = end - entry.position; row < entry.tokens; ) {
      const chunk = chunkFor(entry.codec, rowBytes, entry.tokens - row)
      if (chunk.data === undefined) throw new Error("A chunk was spilled while it was filled")
      const rows = Math.min(entry.tokens - row, chunk.capacity - chunk.rows)
      chunk.data.set(entry.payload.subarray(row * rowBytes, (row + rows) * rowBytes), chunk.rows * rowBytes)
      chunk.rows += rows
      end += rows
      bytes += rows * rowBytes
      row += rows
    }
    return true
  }

  /** Index of the chunk that holds `position` < end. Binary search. */
  const indexOf = (position: number): number => {
    let low = 0
    let high = chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const chunk = chunks[middle]
      if (chunk !== undefined && chunk.position <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  /** `rows` rows of a chunk from `row`: a view if they are in memory. */
  const rowsOf = (chunk: Chunk, row: number, rows: number): Uint8Array => {
    const first = row * chunk.rowBytes
    if (chunk.data !== undefined) return chunk.data.subarray(first, first + rows * chunk.rowBytes)
    const copy = new Uint8Array(rows * chunk.rowBytes)
    file?.read(chunk.offset + first, copy)
    return copy
  }

  /** The piece of at most `maxTokens` rows at `position` < end: one view, or one copy where it crosses chunks. */
  const pieceAt = (position: number, maxTokens: number): JournalEntry | undefined => {
    const index = indexOf(position)
    const first = chunks[index]
    if (first === undefined) return undefined
    const { codec, rowBytes } = first
    let tokens = Math.min(maxTokens, first.position + first.rows - position)
    const parts = [rowsOf(first, position - first.position, tokens)]
    for (let next = index + 1; tokens < maxTokens; next++) {
      const chunk = chunks[next]
      if (chunk === undefined || chunk.codec !== codec || chunk.rowBytes !== rowBytes) break
      const rows = Math.min(maxTokens - tokens, chunk.rows)
      parts.push(rowsOf(chunk, 0, rows))
      tokens += rows
    }
    const [only] = parts
    return { position, tokens, codec, payload: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts) }
  }

  function* read(from: number, maxTokens: number): Generator<JournalEntry> {
    if (!Number.isSafeInteger(from) || from < 0) throw new RangeError(`Cannot read a journal from row ${from}`)
    if (!(maxTokens >= 1)) throw new RangeError(`Cannot read a journal in pieces of ${maxTokens} rows`)
    const until = end
    for (let position = from; position < Math.min(until, end); ) {
      const piece = pieceAt(position, Math.min(Math.floor(maxTokens), Math.min(until, end) - position))
      if (piece === undefined) return
      position += piece.tokens
      yield piece
    }
  }

  const release = (chunk: Chunk): void => {
    bytes -= chunk.rows * chunk.rowBytes
    if (chunk.data !== undefined) {
      chunk.data = undefined
      pool.remove(chunk)
    }
  }

  /** Shortens the file to the rows that are still on disk. Chunks are spilled in any order, so the greatest end counts. */
  const trimFile = (): void => {
    if (file === undefined) return
    let used = 0
    for (const chunk of chunks) {
      if (chunk.data === undefined) used = Math.max(used, chunk.offset + chunk.rows * chunk.rowBytes)
    }
    const before = file.bytes()
    if (used === before) return
    file.truncate(used)
    pool.onDisk(used - before)
  }

  const truncate = (position: number): void => {
    if (!Number.isSafeInteger(position) || position < 0)
      throw new RangeError(`Cannot truncate a journal at row ${position}`)
    for (let last = chunks.at(-1); last !== undefined && last.position + last.rows > position; last = chunks.at(-1)) {
      if (last.position >= position) {
        chunks.pop()
        release(last)
      } else {
        const cut = last.position + last.rows - position
        last.rows -= cut
        bytes -= cut * last.rowBytes
      }
    }
    end = Math.min(end, position)
    trimFile()
  }

  const journal: Journal = {
    end: () => end,
    append,
    read,
    truncate,
    bytes: () => bytes,
    close: () => {
      if (closed) return
      closed = true
      for (const chunk of chunks) release(chunk)
      chunks.length = 0
      end = 0
      if (file !== undefined) {
        pool.onDisk(-file.bytes())
        file.close()
        file = undefined
      }
      pool.onClose(journal)
    }
  }
  return journal
}
