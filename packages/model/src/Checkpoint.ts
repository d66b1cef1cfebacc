/**
 * One view of the tensors of a checkpoint, whether safetensors or GGUF.
 * @module
 */
import { type BlockType, blockBytes, type QuantizedType } from "@swarm/quant"
import { type ElementType, elementBytes, FormatError, openSafetensors, openShards, toFloat32 } from "@swarm/tensor"
import type { Gguf } from "./gguf.ts"
import { ggufMatrix, type StoredMatrix } from "./StoredMatrix.ts"

/** Formats of Hugging Face checkpoints that make one matrix of several tensors. */
export type CodedType = "GPTQ" | "AWQ" | "NF4" | "FP4" | "INT8" | "FP8" | "MXFP4"

/** How the values of a tensor are stored: plain elements, or codes with scales. */
export type StorageType = ElementType | QuantizedType | CodedType

/** A tensor of a checkpoint: one of a file, or the matrix that several of them hold together. */
export interface CheckpointTensor {
  readonly name: string
  readonly type: StorageType
  /** Row-major, outermost first; (N, K) of a linear layer. */
  readonly shape: ReadonlyArray<number>
  /** In the file, with scales and everything else that belongs to it. */
  readonly bytes: number
  /** The file that holds it, where a checkpoint has several. */
  readonly file?: string
  /** Its codes and values, if it is not of plain elements. */
  readonly matrix?: StoredMatrix
}

/** The tensors of a checkpoint. Reads are fresh, straight from disk, and throw `FormatError` if the file has changed. */
export interface Checkpoint {
  /** The file or folder. */
  readonly path: string
  readonly tensors: ReadonlyMap<string, CheckpointTensor>
  /** `length` bytes of a tensor of the file from its byte `offset`. */
  readonly read: (name: string, offset: number, length: number) => Uint8Array
  /** Names of tensors that say nothing, so that no architecture needs a place for them. */
  readonly empty?: ReadonlySet<string>
  /** Where several tensors of the file make one: the file's own, and how its codes are to be read. */
  readonly stored?: { readonly tensors: Checkpoint["tensors"]; readonly encoding: string }
}

/** Opens a folder with safetensors in Hugging Face layout, or one such file. */
export const safetensorsCheckpoint = (path: string): Checkpoint => {
  const file = path.endsWith(".safetensors") ? openSafetensors(path) : openShards(path)
  return { path, tensors: file.tensors, read: file.readBytes }
}

/** The checkpoint in an opened GGUF file. */
export const ggufCheckpoint = (gguf: Gguf): Checkpoint => {
  const tensors = new Map<string, CheckpointTensor>()
  for (const { name, type, shape, bytes } of gguf.tensors.values()) {
    const element = elementType(type)
    if (element !== undefined) tensors.set(name, { name, type: element, shape, bytes })
    else {
      const columns = shape.at(-1) ?? 1
      const row = blockBytes(type, columns)
      const read = (from: number, to: number) => gguf.read(name, from * row, (to - from) * row)
      const block = type as QuantizedType
      tensors.set(name, { name, type: block, shape, bytes, matrix: ggufMatrix(block, columns, read) })
    }
  }
  return { path: gguf.file, tensors, read: gguf.read }
}

const ELEMENTS: Readonly<Partial<Record<BlockType, ElementType>>> = { F32: "f32", F16: "f16", BF16: "bf16" }
const elementType = (type: BlockType): ElementType | undefined => ELEMENTS[type]

/** Consecutive rows of a matrix, or a whole vector, of a checkpoint. */
export interface Slice {
  readonly checkpoint: Checkpoint
  readonly tensor: CheckpointTensor
  /** Rows of the slice; 1 for a vector. */
  readonly rows: number
  /** Values of a row. */
  readonly columns: number
  readonly firstRow: number
}

/** The slice of rows `[from, to)` of a matrix, all by default; a vector is one row. */
export const slice = (checkpoint: Checkpoint, tensor: CheckpointTensor, from = 0, to?: number): Slice => {
  const columns = tensor.shape.at(-1) ?? 1
  const all = tensor.shape.slice(0, -1).reduce((product, extent) => product * extent, 1)
  const end = to ?? all
  if (!(from >= 0 && from < end && end <= all)) {
    throw new RangeError(`Cannot take rows ${from} to ${end} of tensor "${tensor.name}": it has ${all}`)
  }
  return { checkpoint, tensor, rows: end - from, columns, firstRow: from }
}

/** The values of a slice: f32 (rows, columns), each the value that the format defines, rounded once to f32. */
export const readFloats = (
  { checkpoint, tensor, firstRow, rows, columns }: Slice,
  out?: Float32Array
): Float32Array => {
  const { matrix, type, name } = tensor
  if (matrix !== undefined) {
    const values = out ?? new Float32Array(rows * columns)
    matrix.floats(firstRow, firstRow + rows, values)
    return values
  }
  const row = columns * elementBytes(type as ElementType)
  const values = toFloat32(type as ElementType, checkpoint.read(name, firstRow * row, rows * row))
  if (out === undefined) return values
  out.set(values)
  return out
}

const FLOATS: ReadonlyArray<StorageType> = ["f32", "f64", "f16", "bf16"]

/** Throws `FormatError` if a matrix cannot be read as weights. */
export const assertReadable = (checkpoint: Checkpoint, tensor: CheckpointTensor): void => {
  if (tensor.matrix !== undefined || FLOATS.includes(tensor.type)) return
  throw new FormatError({
    file: tensor.file ?? checkpoint.path,
    tensor: tensor.name,
    detail: `weights of type ${tensor.type} are not supported`
  })
}
