/**
 * SentencePiece's BPE: of all neighbours whose concatenation is a piece, the best scored merge first.
 * @see https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc
 * @module
 */
import { BestFirst } from "./BestFirst.ts"

/** A vocabulary with scores. */
export interface ScoredVocabulary {
  /** Pieces that text can become: no control tokens, no bytes. */
  readonly ids: ReadonlyMap<string, number>
  /** Per id; the greater is merged first. */
  readonly scores: ArrayLike<number>
  /** Ids of the 256 bytes, or undefined if the vocabulary has none. */
  readonly bytes: ReadonlyArray<number> | undefined
  /** For characters that are no pieces, if there are no bytes. */
  readonly unknown: number
}

const utf8 = new TextEncoder()

/** Appends the ids of `text` (spaces already marked) to `ids`. O(n log n) for n characters. */
export const encodeScored = (vocabulary: ScoredVocabulary, text: string, ids: Array<number>): void => {
  if (text === "") return
  // symbol i is text[i, ends[i]); it starts as one character, grows to the right, and is empty when merged away
  const length = text.length
  const ends = new Int32Array(length)
  const previous = new Int32Array(length)
  const next = new Int32Array(length)
  const queue = new BestFirst()

  const consider = (left: number, right: number): void => {
    if (left < 0 || right >= length) return
    const end = ends[right] ?? 0
    const id = vocabulary.ids.get(text.slice(left, end))
    if (id !== undefined) queue.push(vocabulary.scores[id] ?? 0, left, end)
  }

  let last = -1
  for (let i = 0; i < length; ) {
    const width = (text.codePointAt(i) ?? 0) > 0xffff ? 2 : 1
    ends[i] = i + width
    next[i] = i + width
    previous[i] = last
    consider(last, i)
    last = i
    i += width
  }
  while (queue.take()) {
    const left = queue.left
    const right = next[left] ?? length
    // the entry is stale if either symbol changed since: then the pair no longer ends where it did
    if (ends[left] === left || right >= length || ends[right] !== queue.end) continue
    ends[left] = queue.end
    ends[right] = right
    const after = next[right] ?? length
    next[left] = after
    if (after < length) previous[after] = left
    consider(previous[left] ?? -1, left)
    consider(left, after)
  }
  for (let i = 0; i < length; i = next[i] ?? length) {
    const piece = text.slice(i, ends[i])
    const id = vocabulary.ids.get(piece)
    if (id !== undefined) ids.push(id)
    else if (vocabulary.bytes === undefined) ids.push(vocabulary.unknown)
    else for (const byte of utf8.encode(piece)) ids.push(vocabulary.bytes[byte] ?? vocabulary.unknown)
  }
}
