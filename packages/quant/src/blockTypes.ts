/**
 * The block types of GGUF files: identifiers, sizes, and which of them this package reads.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @module
 */
import type { BlockCoder } from "./internal/coder.ts"
import { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./internal/kquants.ts"
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS } from "./internal/lattices.ts"
import { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./internal/legacy.ts"
import { IQ4_NL, IQ4_XS, MXFP4, NVFP4 } from "./internal/tables.ts"
import { TQ1_0, TQ2_0 } from "./internal/ternary.ts"

/** Block types that have integer codes with scales. */
const CODERS = {
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ1_S,
  IQ1_M,
  IQ2_XXS,
  IQ2_XS,
  IQ2_S,
  IQ3_XXS,
  IQ3_S,
  IQ4_NL,
  IQ4_XS,
  TQ1_0,
  TQ2_0,
  MXFP4,
  NVFP4
} satisfies Record<string, BlockCoder>

/** A block type with integer codes and scales. */
export type QuantizedType = keyof typeof CODERS

/** A block type that {@link dequantize} reads. */
export type BlockType = "F32" | "F16" | "BF16" | QuantizedType

/** Size of a block. */
export interface BlockTypeInfo {
  readonly type: BlockType
  /** `ggml_type` in the tensor table of a file. */
  readonly id: number
  /** Values of a block; a row of a matrix is a whole number of blocks. */
  readonly blockSize: number
  /** Bytes of a block. */
  readonly blockBytes: number
}

/** Every `ggml_type` that a file can carry, by identifier; gaps are types that were withdrawn. */
const NAMES: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  8: "Q8_0",
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  30: "BF16",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
  40: "NVFP4",
  41: "Q1_0"
}

const FLOAT_BYTES = { F32: 4, F16: 2, BF16: 2 } as const

const isQuantized = (name: string): name is QuantizedType => Object.hasOwn(CODERS, name)
const isFloat = (name: string): name is keyof typeof FLOAT_BYTES => Object.hasOwn(FLOAT_BYTES, name)

const infoOf = (id: number, name: string): BlockTypeInfo | undefined => {
  if (isFloat(name)) return { type: name, id, blockSize: 1, blockBytes: FLOAT_BYTES[name] }
  if (!isQuantized(name)) return undefined
  const { blockSize, blockBytes } = CODERS[name]
  return { type: name, id, blockSize, blockBytes }
}

/** The block types that this package reads, by `ggml_type` identifier. */
export const blockTypes: ReadonlyMap<number, BlockTypeInfo> = new Map(
  Object.entries(NAMES).flatMap(([key, name]) => {
    const info = infoOf(Number(key), name)
    return info === undefined ? [] : [[info.id, info] as const]
  })
)

/** The name of a `ggml_type`, for messages: also of types that are not read; "type 77" for an unknown one. */
export const blockTypeName = (id: number): string => NAMES[id] ?? `type ${id}`

const BY_TYPE: ReadonlyMap<string, BlockTypeInfo> = new Map([...blockTypes.values()].map((info) => [info.type, info]))

/** Size of the blocks of `type`. Throws `RangeError` for a type that is not read. */
export const blockType = (type: BlockType): BlockTypeInfo => {
  const info = BY_TYPE.get(type)
  if (info === undefined) throw new RangeError(`Unknown block type "${type}"`)
  return info
}

/** Bytes of `values` values in blocks of `type`. Throws `RangeError` if they are not a whole number of blocks. */
export const blockBytes = (type: BlockType, values: number): number => {
  const info = blockType(type)
  if (!Number.isSafeInteger(values) || values < 0 || values % info.blockSize !== 0) {
    throw new RangeError(`Cannot cut ${values} values into ${type} blocks of ${info.blockSize}`)
  }
  return (values / info.blockSize) * info.blockBytes
}

/** The coder of a type, or undefined if its values are plain floats. */
export const coderOf = (type: BlockType): BlockCoder | undefined => (isQuantized(type) ? CODERS[type] : undefined)
