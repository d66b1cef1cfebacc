/**
 * Families of architectures: how the files of a kind of model map to the descriptor and to the roles of its tensors.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import type { Fields } from "./Fields.ts"

/** The part that a tensor plays in a block. */
export type BlockRole =
  | "attn.norm"
  | "attn.postNorm"
  | "attn.q"
  | "attn.k"
  | "attn.v"
  | "attn.output"
  | "attn.qNorm"
  | "attn.kNorm"
  | "mlp.norm"
  | "mlp.postNorm"
  | "mlp.gate"
  | "mlp.up"
  | "mlp.down"
  | "router"
  | "expert.gate"
  | "expert.up"
  | "expert.down"
  | "shared.router"
  | "shared.gate"
  | "shared.up"
  | "shared.down"

/** The part that a tensor plays outside of the blocks. */
export type ModelRole =
  | "embedding"
  | "embedding.norm"
  | "embedding.positions"
  | "embedding.tokenTypes"
  | "norm"
  | "head"
  | "head.transform"

/** Where the parameters of a role lie, if they are not a tensor of their own in the usual layout. */
export interface TensorPlace {
  /** Name without `.weight` or `.bias`; `{}` is the block, `{expert}` the expert. */
  readonly name: string
  /** The tensor is stored (inputs, outputs). Rows are those of the transposed one. */
  readonly transposed?: boolean
  /** The rows are this many equal groups, and `from` and `to` count in each of them. @default 1 */
  readonly groups?: number
  /** Rows of each group that are taken, all axes but the last counted as one; all by default. */
  readonly from?: number
  readonly to?: number
}

/**
 * Where tensors lie by role: a name as in `TensorPlace`, a place, or a function that computes it. `expert` is 0 for
 * roles that are no expert's.
 */
export type TensorNames = Readonly<
  Partial<
    Record<BlockRole | ModelRole, string | TensorPlace | ((architecture: Architecture, expert: number) => TensorPlace)>
  >
>

/** What a checkpoint says about itself. */
export interface Description {
  /** `config.json`, or the metadata of a GGUF file below the prefix of its architecture. */
  readonly fields: Fields
  readonly has: (tensor: string) => boolean
  readonly shape: (tensor: string) => ReadonlyArray<number> | undefined
  /** The values of a small tensor, such as rotary factors. */
  readonly values: (tensor: string) => ReadonlyArray<number> | undefined
}

/** How one file format spells a family. */
export interface Dialect {
  /** `model_type` of `config.json`, or `general.architecture` of a GGUF file. */
  readonly types: ReadonlyArray<string>
  /** Throws `ConfigurationError` or `Unsupported`. */
  readonly describe: (description: Description, type: string) => Architecture
  readonly tensors: TensorNames
  /** What the names of all tensors begin with in some checkpoints and not in others. */
  readonly optionalPrefix?: string
  /** Tensors that may be present and are not weights of the graph. */
  readonly ignored?: ReadonlyArray<RegExp>
}

/** A family of architectures. */
export interface Family {
  readonly name: string
  readonly huggingFace?: Dialect
  readonly gguf?: Dialect
}

/** The format of a checkpoint. */
export type Format = "huggingFace" | "gguf"
