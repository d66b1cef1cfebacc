/**
 * A conversation: token ids in, token ids out, over any pipeline. The KV caches keep what was said.
 * @module
 */
import type { Head } from "@swarm/compute"
import type { Tokenizer } from "@swarm/model"
import * as Stream from "effect/Stream"
import { type ClientError, ComputeFailed, ContextExceeded } from "./ClientError.ts"
import type { Pipeline } from "./Pipeline.ts"
import { makeSampler, type SamplingOptions } from "./sampling.ts"
import { stopper } from "./stopping.ts"

export interface GenerateOptions extends SamplingOptions {
  /** Most new tokens. @default what the session still holds */
  readonly maxTokens?: number
  /** Texts that end the generation; they are not part of the text. */
  readonly stop?: ReadonlyArray<string>
  /** Ids that end the generation besides the model's own. */
  readonly stopIds?: ReadonlyArray<number>
  /** The model's own end does not end the generation. @default false */
  readonly ignoreEos?: boolean
}

/** Why a generation ended: the model's end or a stop id, a stop text, or the greatest number of tokens. */
export type FinishReason = "stop" | "stop-text" | "length"

/** A token as it comes. `text`: what may be shown now; "" while a character or a stop text is incomplete. */
export interface Token {
  readonly id: number
  readonly text: string
  /** With the last token. */
  readonly finish?: FinishReason
}

export interface Session {
  /** All ids so far: prompts and generations. */
  readonly ids: () => ReadonlyArray<number>
  /**
   * Appends `prompt` and generates. The stream is to be consumed once; its interruption stops the generation after the
   * token that is under way, and the session goes on from there.
   */
  readonly generate: (prompt: ReadonlyArray<number>, options?: GenerateOptions) => Stream.Stream<Token, ClientError>
  /** Appends `ids` and gives what the last block gives for each: fresh f32 (ids, hidden). */
  readonly hidden: (ids: ReadonlyArray<number>) => Promise<Float32Array>
  /** Takes back everything from the id at `length` on. */
  readonly truncate: (length: number) => Promise<void>
}

export interface SessionParts {
  readonly pipeline: Pipeline
  readonly head: Head
  /** Without one, tokens carry no text. */
  readonly tokenizer?: Tokenizer
}

export const makeSession = ({ pipeline, head, tokenizer }: SessionParts): Session => {
  const ids: Array<number> = []

  /** Feeds what the caches lack. */
  const feed = (want: "all" | "last"): Promise<Float32Array> => {
    const fresh = ids.slice(pipeline.position())
    if (ids.length > pipeline.maxTokens) throw new ContextExceeded({ tokens: ids.length, limit: pipeline.maxTokens })
    return pipeline.forward(embed(head, fresh, pipeline.position()), want)
  }

  const tokens = async function* (prompt: ReadonlyArray<number>, options: GenerateOptions): AsyncGenerator<Token> {
    if (prompt.length === 0 && ids.length === 0) throw new ComputeFailed({ detail: "the prompt is empty" })
    const before = ids.length
    ids.push(...prompt)
    const room = pipeline.maxTokens - ids.length
    if (room < 1) {
      const tokens = ids.length + 1
      ids.length = before
      throw new ContextExceeded({ tokens, limit: pipeline.maxTokens })
    }
    const limit = Math.min(options.maxTokens ?? room, room)
    const sampler = makeSampler(options)
    const text = tokenizer?.stream()
    const stops = stopper(options.stop ?? [])
    const ends = new Set([...(options.ignoreEos === true ? [] : (tokenizer?.eos ?? [])), ...(options.stopIds ?? [])])
    for (let count = 1; count <= limit; count++) {
      const rows = await feed("last")
      const id = sampler.next(await head.logits(rows), ids)
      ids.push(id)
      const isEnd = ends.has(id)
      const shown = stops.push(isEnd ? "" : (text?.push(id) ?? ""))
      if (shown.stop !== undefined) return yield { id, text: shown.text, finish: "stop-text" }
      if (isEnd || count === limit) {
        const rest = stops.push(text?.end() ?? "")
        const finish = rest.stop !== undefined ? "stop-text" : isEnd ? "stop" : "length"
        return yield { id, text: shown.text + rest.text + stops.end(), finish }
      }
      yield { id, text: shown.text }
    }
  }

  return {
    ids: () => ids,
    generate: (prompt, options = {}) => Stream.fromAsyncIterable(tokens(prompt, options), asClientError),
    hidden: async (more) => {
      ids.push(...more)
      return feed("all")
    },
    truncate: async (length) => {
      ids.length = Math.min(ids.length, length)
      await pipeline.truncate(ids.length)
    }
  }
}

const embed = (head: Head, ids: ReadonlyArray<number>, position: number): Float32Array => {
  try {
    return head.embed(ids, position)
  } catch (cause) {
    throw new ComputeFailed({ detail: cause instanceof Error ? cause.message : String(cause), cause })
  }
}

const TAGS = new Set([
  "BlocksUnserved",
  "SessionRefused",
  "TooManyFailures",
  "ContextExceeded",
  "SessionClosed",
  "ComputeFailed"
])

const asClientError = (cause: unknown): ClientError =>
  typeof cause === "object" && cause !== null && "_tag" in cause && TAGS.has(String(cause._tag))
    ? (cause as ClientError)
    : new ComputeFailed({ detail: cause instanceof Error ? cause.message : String(cause), cause })
