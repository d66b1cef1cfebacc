/**
 * One view of the tensors of a checkpoint, whether safetensors or GGUF.
 * @module
 */
import { type BlockType, blockBytes, blockType, dequantize, type QuantizedType } from "@swarm/quant"
import { type ElementType, elementBytes, FormatError, openSafetensors, openShards, toFloat32 } from "@swarm/tensor"
import type { Gguf } from "./gguf.ts"

/** How the values of a tensor are stored: plain elements, or blocks of codes with scales. */
export type StorageType = ElementType | QuantizedType

/** A tensor of a checkpoint. */
export interface CheckpointTensor {
  readonly name: string
  readonly type: StorageType
  /** Row-major, outermost first. */
  readonly shape: ReadonlyArray<number>
  readonly bytes: number
}

/** The tensors of a checkpoint. Reads are fresh, straight from disk, and throw `FormatError` if the file has changed. */
export interface Checkpoint {
  /** The file or folder. */
  readonly path: string
  readonly tensors: ReadonlyMap<string, CheckpointTensor>
  /** `length` bytes of a tensor from its byte `offset`. */
  readonly read: (name: string, offset: number, length: number) => Uint8Array
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
    tensors.set(name, { name, type: storageType(type), shape, bytes })
  }
  return { path: gguf.file, tensors, read: gguf.read }
}

const storageType = (type: BlockType): StorageType => {
  if (type === "F32") return "f32"
  if (type === "F16") return "f16"
  return type === "BF16" ? "bf16" : type
}

const isElement = (type: StorageType): type is ElementType => type === type.toLowerCase()

/** The block type of a tensor, or undefined if it holds plain elements. */
export const quantizedType = (type: StorageType): QuantizedType | undefined => (isElement(type) ? undefined : type)

/** Bytes of `values` values of a row. Throws `RangeError` if they are not a whole number of blocks. */
export const storageBytes = (type: StorageType, values: number): number =>
  isElement(type) ? values * elementBytes(type) : blockBytes(type, values)

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

/** The stored bytes of a slice. */
export const readSlice = (s: Slice): Uint8Array => {
  const row = storageBytes(s.tensor.type, s.columns)
  return s.checkpoint.read(s.tensor.name, s.firstRow * row, s.rows * row)
}

/** The values of a slice: f32 (rows, columns), each the value that the format defines, rounded once to f32. */
export const readFloats = (s: Slice, out?: Float32Array): Float32Array => {
  const bytes = readSlice(s)
  const { type } = s.tensor
  if (isElement(type)) {
    const values = toFloat32(type, bytes)
    if (out === undefined) return values
    out.set(values)
    return out
  }
  return dequantize(type, bytes, out ?? new Float32Array(s.rows * s.columns))
}

/** Throws `FormatError` if a matrix cannot be read as weights. */
export const assertReadable = (checkpoint: Checkpoint, tensor: CheckpointTensor): void => {
  const quantized = quantizedType(tensor.type)
  if (quantized !== undefined) {
    const columns = tensor.shape.at(-1) ?? 1
    if (columns % blockType(quantized).blockSize === 0) return
    const detail = `rows of ${columns} are not whole ${quantized} blocks`
    throw new FormatError({ file: checkpoint.path, tensor: tensor.name, detail })
  }
  if (["f32", "f64", "f16", "bf16"].includes(tensor.type)) return
  throw new FormatError({
    file: checkpoint.path,
    tensor: tensor.name,
    detail: `weights of type ${tensor.type} are not supported`
  })
}
