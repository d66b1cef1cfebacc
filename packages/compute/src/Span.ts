/**
 * A span of blocks that is loaded and can run. Plain promises: this is the token path.
 * @module
 */

/** The KV cache of one session in one span. Capacity is fixed; pages are touched only as tokens come. */
export interface KvSlot {
  readonly capacity: number
  /** Frees the memory once the runs that were asked for before have ended. Idempotent. */
  readonly free: () => void
}

/** One session's part of a run. */
export interface SpanStep {
  readonly kv: KvSlot
  /** Position of the first token. */
  readonly position: number
  /** Tokens of this step, >= 1. */
  readonly tokens: number
}

export interface Span {
  readonly from: number
  readonly to: number
  readonly hiddenSize: number
  /** Attention sees both sides: a step is a whole text at position 0. @default false */
  readonly encoder?: boolean
  /** Greatest number of steps in one run. */
  readonly maxSessions: number
  /** Whether results do not depend on chunking and batching (docs/numerics.md). */
  readonly reproducible: boolean
  /** Bytes of weights (packed) and of KV per token. */
  readonly weightBytes: number
  readonly kvBytesPerToken: number
  /** Fingerprint of this span's results on a fixed probe: equal digests = bit-equal replacements. */
  readonly digest: string
  /** Allocates a KV cache for `capacity` tokens. */
  readonly open: (capacity: number) => KvSlot
  /**
   * Runs the blocks for several sessions at once. `x`: f32 (sum of tokens, hidden), rows in the order of the steps,
   * borrowed until the promise settles; the result is fresh, of the same shape. One run at a time: callers queue.
   */
  readonly run: (steps: ReadonlyArray<SpanStep>, x: Float32Array) => Promise<Float32Array>
}

/** Embedding, final norm and output matrix. */
export interface Head {
  readonly hiddenSize: number
  readonly vocabSize: number
  /**
   * ids -> fresh f32 (tokens, hidden), what block 0 reads. `position` is that of the first id: it matters to models that
   * learned their positions. @default {position} 0
   */
  readonly embed: (ids: ReadonlyArray<number>, position?: number) => Float32Array
  /** `x`: f32 (rows, hidden), borrowed; fresh f32 (rows, vocab). */
  readonly logits: (x: Float32Array) => Promise<Float32Array>
}
