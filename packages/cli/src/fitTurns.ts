/**
 * Keeping a conversation within the context.
 * @module
 */
import type { ChatMessage } from "@swarm/model"

export interface FitOptions {
  /** Messages at the beginning that always stay, such as that of the system. */
  readonly opening: number
  /** Token ids of a conversation, as the model is given them. */
  readonly encode: (messages: ReadonlyArray<ChatMessage>) => ReadonlyArray<number>
  /** Tokens of the whole context. */
  readonly context: number
  /** Tokens that an answer may take. */
  readonly answer: number
}

export interface Fitted {
  readonly messages: ReadonlyArray<ChatMessage>
  readonly ids: ReadonlyArray<number>
  /** Messages that were left out. */
  readonly dropped: number
}

/** Tokens of a prompt beyond which the oldest turns are left out: the answer needs room, though not more than a quarter. */
export const promptLimit = ({ context, answer }: Pick<FitOptions, "context" | "answer">): number =>
  context - Math.min(answer, Math.floor(context / 4))

/**
 * The conversation with room for an answer: whole turns (a question and its answer) are left out, the oldest first. If any
 * have to go, then so many that a quarter of the context becomes free, since what follows them is computed anew. The last message
 * stays; alone, it may leave little room. `tooLong`: the tokens of what has to stay, if that does not fit at all.
 */
export const fitTurns = (
  messages: ReadonlyArray<ChatMessage>,
  options: FitOptions
): Fitted | { readonly tooLong: number } => {
  const { opening, encode, context } = options
  const limit = promptLimit(options)
  let kept = messages
  let ids = encode(kept)
  const wanted = ids.length > limit ? limit - Math.floor(context / 4) : limit
  while (ids.length > wanted && kept.length > opening + 1) {
    kept = [...kept.slice(0, opening), ...kept.slice(opening + 2)]
    ids = encode(kept)
  }
  return ids.length < context
    ? { messages: kept, ids, dropped: messages.length - kept.length }
    : { tooLong: ids.length }
}
