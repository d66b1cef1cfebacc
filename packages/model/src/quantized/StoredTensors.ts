/**
 * The tensors of a file that together make quantized matrices: found by name, checked before they are read.
 * @module
 */
import { type ElementType, FormatError, type TensorArray, toFloat32, viewArray } from "@swarm/tensor"
import type { Checkpoint, CheckpointTensor, CodedType } from "../Checkpoint.ts"
import type { StoredMatrix } from "../StoredMatrix.ts"

/** What a tensor must be: a wrong type or shape is the file's fault. */
export interface Wanted {
  readonly types: ReadonlyArray<ElementType>
  readonly shape: ReadonlyArray<number>
}

/** Types of scales. */
export const FLOATS: ReadonlyArray<ElementType> = ["f16", "bf16", "f32"]

/** The tensors of a checkpoint. All methods throw `FormatError` with file and tensor. */
export class StoredTensors {
  readonly checkpoint: Checkpoint

  constructor(checkpoint: Checkpoint) {
    this.checkpoint = checkpoint
  }

  /** Names that end in `suffix`, without it, in the order of the file. */
  stems(suffix: string): ReadonlyArray<string> {
    return [...this.checkpoint.tensors.keys()].flatMap((name) =>
      name.endsWith(suffix) ? [name.slice(0, -suffix.length)] : []
    )
  }

  /** An error about a tensor. */
  fail(name: string, detail: string, cause?: unknown): FormatError {
    const file = this.checkpoint.tensors.get(name)?.file ?? this.checkpoint.path
    return new FormatError({ file, tensor: name, detail, cause })
  }

  find(name: string): CheckpointTensor | undefined {
    return this.checkpoint.tensors.get(name)
  }

  need(name: string): CheckpointTensor {
    const tensor = this.find(name)
    if (tensor === undefined) throw this.fail(name, "is missing")
    return tensor
  }

  /** A tensor of a type and shape. */
  check(name: string, { types, shape }: Wanted): CheckpointTensor {
    const tensor = this.need(name)
    if (!types.some((type) => type === tensor.type)) {
      throw this.fail(name, `it is of type ${tensor.type} instead of ${types.join(" or ")}`)
    }
    if (tensor.shape.length !== shape.length || shape.some((extent, i) => extent !== tensor.shape[i])) {
      throw this.fail(name, `it has shape [${tensor.shape}] instead of [${shape}]`)
    }
    return tensor
  }

  /** A tensor that is a matrix of a type. */
  matrix(name: string, ...types: ReadonlyArray<ElementType>): readonly [rows: number, columns: number] {
    const { shape } = this.need(name)
    const [rows = 0, columns = 0] = shape
    this.check(name, { types, shape: [rows, columns] })
    if (rows < 1 || columns < 1) throw this.fail(name, `it has shape [${shape}]`)
    return [rows, columns]
  }

  /** The elements of a tensor, or those of its rows [from, to). */
  read(name: string, from?: number, to?: number): TensorArray {
    const { type, shape, bytes } = this.need(name)
    const row = bytes / (shape[0] ?? 1)
    const first = from ?? 0
    const length = to === undefined ? bytes - first * row : (to - first) * row
    return viewArray(type as ElementType, this.checkpoint.read(name, first * row, length))
  }

  /** 32-bit words, whatever their sign. */
  words(name: string): Uint32Array {
    const { buffer, byteOffset, length } = this.read(name)
    return new Uint32Array(buffer, byteOffset, length)
  }

  /** A tensor as f32. */
  floats(name: string): Float32Array {
    const { type, bytes } = this.need(name)
    return toFloat32(type as ElementType, this.checkpoint.read(name, 0, bytes))
  }

  /** The matrix that `parts` hold together. */
  coded(
    name: string,
    type: CodedType,
    shape: ReadonlyArray<number>,
    parts: ReadonlyArray<string>,
    matrix: StoredMatrix
  ): CodedMatrix {
    const tensors = parts.map((part) => this.need(part))
    const bytes = tensors.reduce((sum, part) => sum + part.bytes, 0)
    const file = tensors[0]?.file
    return { parts, tensor: { name, type, shape, bytes, matrix, ...(file === undefined ? {} : { file }) } }
  }
}

/** A matrix, and the tensors of the file that it takes the place of. */
export interface CodedMatrix {
  readonly tensor: CheckpointTensor
  readonly parts: ReadonlyArray<string>
}

/** What a way of quantizing says about a file. */
export interface Decoded {
  /** How codes are read, for the digest and for people. */
  readonly encoding: string
  readonly matrices: ReadonlyArray<CodedMatrix>
}
