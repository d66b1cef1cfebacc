/**
 * Blocks that keep a session: a chain of servers, or spans in this process.
 * @module
 */
import type { Span } from "@swarm/compute"
import { ContextExceeded, SessionClosed } from "./ClientError.ts"

/** All blocks of a model with one session's KV cache. Plain promises: this is the token path. */
export interface Pipeline {
  /** Tokens in the caches. */
  readonly position: () => number
  readonly maxTokens: number
  /**
   * x: f32 (tokens, hidden), borrowed, at the present position -> what the last block gives: fresh f32 (tokens, hidden)
   * for "all", (1, hidden) for "last". One call at a time. Rejects with `ClientError`.
   */
  readonly forward: (x: Float32Array, want: "all" | "last") => Promise<Float32Array>
  /** Forgets tokens from `position` on: a turn is taken back. Not during `forward`. */
  readonly truncate: (position: number) => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * A session over spans that are loaded in this process, in order from block 0 to the last. Those of an encoder take a text
 * in one `forward`; another one needs `truncate(0)` first.
 */
export const localPipeline = (spans: ReadonlyArray<Span>, maxTokens: number, chunk = 128): Pipeline => {
  const hiddenSize = spans[0]?.hiddenSize ?? 0
  const step = spans.some(({ encoder }) => encoder) ? Number.POSITIVE_INFINITY : chunk
  const slots = spans.map((span) => span.open(maxTokens))
  let position = 0
  let closed = false
  const forward = async (x: Float32Array, want: "all" | "last"): Promise<Float32Array> => {
    const tokens = x.length / hiddenSize
    if (closed) throw new SessionClosed()
    if (position + tokens > maxTokens) throw new ContextExceeded({ tokens: position + tokens, limit: maxTokens })
    const out = new Float32Array(want === "all" ? x.length : hiddenSize)
    for (let first = 0; first < tokens; first += step) {
      const count = Math.min(step, tokens - first)
      let rows = x.subarray(first * hiddenSize, (first + count) * hiddenSize)
      for (const [index, span] of spans.entries()) {
        const kv = slots[index]
        if (kv !== undefined) rows = await span.run([{ kv, position, tokens: count }], rows)
      }
      position += count
      if (want === "all") out.set(rows, first * hiddenSize)
      else out.set(rows.subarray((count - 1) * hiddenSize))
    }
    return out
  }
  return {
    position: () => position,
    maxTokens,
    forward,
    truncate: async (to) => {
      position = Math.min(position, to)
    },
    close: async () => {
      closed = true
      for (const slot of slots) slot.free()
    }
  }
}
