/**
 * Families of architectures: how the files of a kind of model map to the descriptor and to the roles of its tensors.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import type { Fields } from "./Fields.ts"

/** The part that a tensor plays in a block. */
export type BlockRole =
  | "attn.norm"
  | "attn.q"
  | "attn.k"
  | "attn.v"
  | "attn.output"
  | "attn.qNorm"
  | "attn.kNorm"
  | "mlp.norm"
  | "mlp.gate"
  | "mlp.up"
  | "mlp.down"

/** The part that a tensor plays outside of the blocks. */
export type ModelRole = "embedding" | "norm" | "head"

/** Rows of a tensor that holds several roles at once, such as fused q, k, v. */
export interface TensorRows {
  /** Name without `.weight` or `.bias`; `{}` is the block. */
  readonly name: string
  readonly from: number
  readonly to: number
}

/**
 * Names of tensors by role, without `.weight` or `.bias`; `{}` stands for the number of the block. A function gives a
 * part of a tensor that holds several roles.
 */
export type TensorNames = Readonly<
  Partial<Record<BlockRole | ModelRole, string | ((architecture: Architecture) => TensorRows)>>
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
