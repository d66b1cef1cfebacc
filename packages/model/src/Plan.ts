/**
 * What a span of blocks (or the head) needs from a checkpoint, and the graphs that run it.
 * @module
 */
import type { ExternalData } from "@swarm/onnx"
import type { ElementType, TensorArray } from "@swarm/tensor"
import type { Architecture } from "./Architecture.ts"
import type { StorageType } from "./Checkpoint.ts"
import type { Opened } from "./openCheckpoint.ts"
import type { Shard } from "./Shard.ts"
import type { Tokenizer } from "./Tokenizer.ts"

/**
 * Weight format at load. `as-is` keeps the checkpoint's own blocks wherever a kernel runs them exactly, and floats as
 * f32. `f16` rounds to f16 and holds f32: kernels of a CPU would widen 16 bits at each call. In a head `q4` is `q8`.
 */
export type WeightFormat = "as-is" | "q4" | "q8" | "f16" | "f32"

/**
 * `int8`: activations rounded per block inside the matmul kernel of weights in blocks (fast). `f32`: exact mode; 8-bit
 * weights are then held as f32, four times larger.
 */
export type Activations = "int8" | "f32"

/** How a span or head is to be held and computed. */
export interface PlanOptions {
  /** @default "as-is" */
  readonly weights?: WeightFormat
  /** Group size of q4 and q8 made from floats: 32, 64 or 128. @default 32 */
  readonly group?: number
  /** @default "int8" */
  readonly activations?: Activations
  /** Rows of rotary tables, so the greatest position + 1. @default the model's context length */
  readonly maxPositions?: number
  /** For spans: the part of one rank of a group (see `SpanPlan.segments`). */
  readonly shard?: Shard
}

/** One weight tensor of a graph. */
export interface Initializer {
  readonly name: string
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
  readonly bytes: number
  /**
   * Reads from disk and converts, fresh at each call. The codes, scales and corrections of one layer are made together
   * and handed out one by one: taken in the order of `initializers`, each layer is made once and peak memory is one
   * layer. Throws `FormatError` for a file that has changed, and for NaN or infinite weights that are to be in blocks.
   */
  readonly read: () => TensorArray
}

/** What a matrix of a checkpoint became. */
export interface PlannedMatrix {
  /** Its name in the checkpoint. */
  readonly tensor: string
  readonly type: StorageType
  /** The form that the kernel takes, such as "4-bit codes in blocks of 32" or "f32". */
  readonly kernel: string
  /** What differs from the file's codes, with the bound of the error that it brings ("exact": none). */
  readonly note?: string
}

/**
 * Offsets of a linear layer that an engine may carry in its packed weights instead of the graph adding them (Q4_1,
 * Q4_K and others, docs/numerics.md). Each array is read from disk at each call.
 */
export interface OffsetFold {
  /** Name of the initializer with the codes. */
  readonly weights: string
  /** Name of the initializer that a folded graph does without. */
  readonly replaces: string
  readonly zero: number
  readonly rows: number
  readonly blocks: number
  /** f32 (rows, blocks) */
  readonly scales: () => Float32Array
  /** f32 (blocks, rows) */
  readonly offsets: () => Float32Array
}

/**
 * A part of a span's graph that a rank runs by itself. `cut` is then summed over the ranks, in place, before the next
 * segment reads it. `reads` and `writes` are f32 (1, T, hidden) and handed on from segment to segment; the inputs and
 * outputs of caches, positions and `y` are where `SpanPlan` says.
 */
export interface Segment {
  /** The serialized graph. */
  readonly model: Uint8Array
  /** `x`, and what earlier segments wrote. */
  readonly reads: ReadonlyArray<string>
  /** `cut`, and what later segments read. */
  readonly writes: ReadonlyArray<string>
  /** Absent in the last segment. */
  readonly cut?: string
}

/** Which graph of a plan. */
export interface GraphOptions {
  readonly sessions: number
  readonly duplicate: boolean
  readonly folded?: boolean
  readonly observe?: boolean
}

/**
 * The plan of a span. Every graph of the plan takes the same initializers, so weights exist once.
 *
 * Graph for `sessions` = B sessions (B >= 1), `duplicate` = D:
 * - input `x`: f32 (1, T, hidden), the rows of session 0, then of session 1, ...; T = sum of tokens
 * - input `split`: i64 (B), tokens of each session; only if B > 1
 * - per session s: `last_s`: i32 (1) and `total_s`: i32 (1); with n = tokens_s + (D ? 1 : 0):
 *   last = position + n - 1, total = position + n
 * - per block l of the span and session s: inputs `past_k_l_s`, `past_v_l_s`, outputs `present_k_l_s`, `present_v_l_s`:
 *   kvType (1, kvHeads, capacity, headDim), input and output bound to one tensor
 * - output `y`: f32 (1, T, hidden)
 * `duplicate`: inside each attention the session's last query row is appended once more and its result dropped, so no
 * attention sees a single row; the KV row at `position + tokens` is scratch (capacity needs one spare row).
 * `observe`: for each dense matrix W (rows, columns) an output `NAME/x`: f32 (1, T, columns), what W is multiplied with.
 */
export interface SpanPlan {
  readonly from: number
  readonly to: number
  readonly hiddenSize: number
  readonly kvHeads: number
  readonly headDim: number
  readonly kvType: "f32" | "f16"
  /** Attention sees both sides: a step is a whole text at position 0, and the graphs have no caches. */
  readonly encoder: boolean
  readonly maxPositions: number
  readonly initializers: ReadonlyArray<Initializer>
  readonly matrices: ReadonlyArray<PlannedMatrix>
  /** The notes of `matrices`, each once, for people to read. */
  readonly notes: ReadonlyArray<string>
  /** Offsets that need no nodes if the engine can fold them; then ask for graphs with `folded`. */
  readonly folds: ReadonlyArray<OffsetFold>
  /** In the plan of a rank, the branches are those of the rank alone: nothing is summed. */
  readonly graph: (options: GraphOptions, locate: (name: string) => ExternalData) => Uint8Array
  /** The same graph, cut where the ranks of a group sum what they have: twice a block. */
  readonly segments: (options: GraphOptions, locate: (name: string) => ExternalData) => ReadonlyArray<Segment>
}

/**
 * The plan of the head: input `x`: f32 (rows, hidden) before the final norm; output `logits`: f32 (rows, vocab).
 *
 * With int8 activations and weights in blocks, what the rounding of x loses is multiplied as a row of its own: logits
 * are those of f32 activations to 1e-5, and no kernel sees a single row.
 */
export interface HeadPlan {
  readonly hiddenSize: number
  readonly vocabSize: number
  /** Rows of a run from which on the bits of a row's logits do not depend on the other rows. */
  readonly leastRows: 1 | 2
  readonly initializers: ReadonlyArray<Initializer>
  readonly matrices: ReadonlyArray<PlannedMatrix>
  readonly notes: ReadonlyArray<string>
  readonly graph: (locate: (name: string) => ExternalData) => Uint8Array
}

/** Token embedding straight from the checkpoint: one read per row, no table in memory. */
export interface Embedding {
  /**
   * ids (tokens) -> fresh f32 (tokens, hidden): what block 0 reads. `position` is that of the first id; it matters where
   * positions are learned. Throws `RangeError` for an id outside the vocabulary or a position outside the table.
   * @default {position} 0
   */
  readonly lookup: (ids: ReadonlyArray<number>, position?: number) => Float32Array
}

/** An opened model. Nothing but headers is in memory. */
export interface Model {
  /** What the reference said. */
  readonly reference: string
  /** Short name for people. */
  readonly name: string
  /** Hash of architecture and tensor table (names, shapes, types, and a sample of the bytes of each): equal = same weights. */
  readonly digest: string
  readonly architecture: Architecture
  readonly blocks: number
  readonly hiddenSize: number
  readonly vocabSize: number
  readonly contextLength: number
  /** Throws `RangeError` for blocks or options that there are not, `Unsupported` if no graph computes the architecture. */
  readonly span: (from: number, to: number, options?: PlanOptions) => SpanPlan
  /** Throws as `span`. */
  readonly head: (options?: PlanOptions) => HeadPlan
  readonly embedding: () => Embedding
  /** The tensors by role, and where they are from. */
  readonly opened: Opened
  /** Made at the first call. Throws `TokenizerError`. */
  readonly tokenizer: () => Tokenizer
}
