/**
 * The descriptor of a decoder or encoder: everything that a graph of its blocks depends on, as plain data.
 * @module
 */

/** A stack of blocks over one residual stream. */
export interface Architecture {
  /** Name of the family that described it. */
  readonly family: string
  readonly blocks: number
  readonly hiddenSize: number
  readonly vocabSize: number
  /** Greatest number of positions that the model was made for. */
  readonly contextLength: number
  readonly norm: Norm
  readonly attention: Attention
  readonly feedForward: FeedForward
  /** What differs from block to block; one entry per block. */
  readonly layers: ReadonlyArray<Layer>
  /** The rotary embeddings that `layers` refer to. */
  readonly rotaries: ReadonlyArray<Rotary>
  /** The output matrix is the embedding matrix. */
  readonly tiedEmbeddings: boolean
  /** Factor of the embedding. @default 1 */
  readonly embeddingScale?: number
  /** Factor of each branch before it is added to the residual stream. @default 1 */
  readonly residualScale?: number
  /** Factor of the logits. @default 1 */
  readonly logitScale?: number
  /** logits = cap * tanh(logits / cap). */
  readonly logitSoftCap?: number
  /** Attention and feed-forward read the same normed input, or each its own norm of the block's input. */
  readonly parallelResidual?: "shared-norm" | "own-norms"
  /** A learned table added to the embedding: position p takes row p + `offset`. */
  readonly learnedPositions?: { readonly rows: number; readonly offset?: number }
  /** Rows of a table of kinds of token, of which the first is added to the embedding: text is of the first kind. */
  readonly tokenTypes?: number
  /** The embedding is normed before block 0. */
  readonly embeddingNorm?: boolean
  /** The output matrix has a bias. */
  readonly headBias?: boolean
  /** A square layer with this activation before the final norm. */
  readonly headTransform?: Activation
  /** Attention sees both sides: a text is one step, there is no cache and no generation. */
  readonly encoder?: boolean
}

/** A normalization over the last axis. */
export interface Norm {
  /** `rms`: x / rms(x) * w; `layer`: (x - mean) / deviation * w, plus a bias if it has one. */
  readonly kind: "rms" | "layer"
  readonly epsilon: number
  /** The stored weight is w - 1. */
  readonly unitOffset?: boolean
  /** Whether there is a bias. @default true for `layer`; `rms` has none */
  readonly bias?: boolean
  /**
   * What is normed: the input of each branch (`before`), its output (`after`), both (`around`), or the stream with the
   * branch added (`sum`; there is no final norm then, unless a head transform comes before it). @default "before"
   */
  readonly placement?: "before" | "after" | "around" | "sum"
}

/** Grouped-query attention; multi-head if `kvHeads` = `heads`, multi-query if 1. */
export interface Attention {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Factor of q k^T. */
  readonly scale: number
  readonly bias: { readonly qkv: boolean; readonly output: boolean }
  /** Norm of q and k before the rotary embedding: over each head, or over all heads at once. */
  readonly qkNorm?: "head" | "all"
  /** scores = cap * tanh(scores / cap). */
  readonly softCap?: number
  /** Slope of each head: a key that lies d positions before the query has d * slope taken off its score. */
  readonly alibi?: ReadonlyArray<number>
}

/** A function between two layers. `gelu` is the exact one, `gelu-tanh` its usual approximation. */
export type Activation = "silu" | "gelu" | "gelu-tanh" | "relu"

/** The feed-forward branch. */
export interface FeedForward {
  /** `gated`: down(act(gate x) * up x); `plain`: down(act(up x)). */
  readonly kind: "gated" | "plain"
  readonly activation: Activation
  readonly size: number
  readonly bias: boolean
  /** Several feed-forward layers of which each token takes a few; blocks that are `dense` have the one of `size`. */
  readonly experts?: Experts
}

/** A mixture of experts: the sum of the chosen ones, each times its softmax probability. */
export interface Experts {
  readonly count: number
  readonly perToken: number
  /** Width of an expert. */
  readonly size: number
  /** The probabilities of the chosen ones are divided by their sum. */
  readonly normalized: boolean
  /** A layer that every token takes besides, times the sigmoid of its own gate if `gated`. */
  readonly shared?: { readonly size: number; readonly gated: boolean }
}

/** What differs from block to block. */
export interface Layer {
  /** Keys that a query sees, itself included. Absent: all. */
  readonly window?: number
  /** Index into `rotaries`. Absent: no rotary embedding. */
  readonly rotary?: number
  /** The block has one feed-forward layer where others have experts. */
  readonly dense?: boolean
}

/** A rotary position embedding: pairs of dimensions turned by position * frequency. */
export interface Rotary {
  readonly base: number
  /** Leading dimensions of each head that are turned; even, at most `headDim`. */
  readonly dims: number
  /** Pairs are (2i, 2i+1), else (i, i + dims/2). */
  readonly interleaved: boolean
  readonly scaling?: RotaryScaling
}

/** How frequencies are stretched for contexts longer than those of training. */
export type RotaryScaling =
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3"
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalContext: number
    }
  | {
      readonly kind: "yarn"
      readonly factor: number
      readonly originalContext: number
      readonly betaFast: number
      readonly betaSlow: number
      /** Factor of cos and sin. */
      readonly attentionFactor: number
      /** Borders of the ramp are rounded to whole dimensions. */
      readonly truncate: boolean
    }
  /** Each frequency is divided by its own factor. */
  | { readonly kind: "factors"; readonly factors: ReadonlyArray<number>; readonly attentionFactor?: number }

/** Bounds of what a configuration may claim, so that a lie cannot ask for absurd amounts of memory. */
export const limits = {
  blocks: 4096,
  hiddenSize: 1 << 18,
  feedForwardSize: 1 << 20,
  heads: 4096,
  experts: 4096,
  headDim: 4096,
  vocabSize: 1 << 24,
  contextLength: 1 << 24
} as const
