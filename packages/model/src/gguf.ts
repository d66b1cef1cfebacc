/**
 * Reading GGUF files: metadata and tensor table. Nothing but the header is kept, and no file is held open.
 * @see {@link https://github.com/ggml-org/ggml/blob/master/docs/gguf.md}
 * @module
 */
import { type BlockType, blockTypeName, blockTypes } from "@swarm/quant"
import { FormatError, readAt, withFile } from "@swarm/tensor"
import { type MetadataValue, readEntry, readValue, type ValueLocation } from "./internal/ggufMetadata.ts"
import { HeaderReader } from "./internal/HeaderReader.ts"

export type { MetadataValue } from "./internal/ggufMetadata.ts"

/** What a header may claim. Whatever lies beyond is refused before anything is allocated for it. */
export const ggufLimits = {
  tensors: 1 << 18,
  metadataEntries: 1 << 16,
  /** Bytes of a key or of the name of a tensor. */
  nameBytes: 1 << 16,
  /** Bytes of a string value; chat templates are the longest. */
  stringBytes: 1 << 24,
  arrayItems: 1 << 24,
  dimensions: 4,
  alignment: 1 << 20
} as const

/** The metadata of a file. Values are decoded at each `get`, arrays straight from the file. */
export interface GgufMetadata {
  readonly keys: () => ReadonlyArray<string>
  readonly has: (key: string) => boolean
  /** Undefined for a key that is not there. Throws `FormatError` if the file has changed. */
  readonly get: (key: string) => MetadataValue | undefined
}

/** Where one tensor lies. */
export interface GgufTensor {
  readonly name: string
  readonly type: BlockType
  /** Row-major, outermost first: the reverse of the file's order. */
  readonly shape: ReadonlyArray<number>
  /** First byte, from the start of the file. */
  readonly offset: number
  readonly bytes: number
}

/** An opened GGUF file. */
export interface Gguf {
  readonly file: string
  readonly version: number
  readonly metadata: GgufMetadata
  readonly tensors: ReadonlyMap<string, GgufTensor>
  /**
   * Fresh bytes of a tensor: `length` from its byte `offset`. Throws `FormatError` for an unknown name or a file that
   * has shrunk, `RangeError` for a range outside the tensor.
   * @default {offset} 0
   * @default {length} the rest of the tensor
   */
  readonly read: (name: string, offset?: number, length?: number) => Uint8Array
}

const MAGIC = 0x46554747 // "GGUF"

/**
 * Opens a GGUF file, version 2 or 3, little-endian: reads and checks its header. O(header).
 *
 * Throws `FormatError` for a file that is missing, truncated or malformed: no tensor that `tensors` lists can lie
 * outside the file or over another.
 */
export const openGguf = (file: string): Gguf => {
  const header = withFile(file, (descriptor, size) => readHeader(file, descriptor, size))
  const { values, tensors } = header
  return {
    file,
    version: header.version,
    metadata: {
      keys: () => [...values.keys()],
      has: (key) => values.has(key),
      get: (key) => {
        const location = values.get(key)
        if (location === undefined) return undefined
        if (location.scalar !== undefined) return location.scalar
        return withFile(file, (descriptor, size) =>
          readValue(new HeaderReader(descriptor, file, size, location.offset), location.type)
        )
      }
    },
    tensors,
    read: (name, offset = 0, length) => {
      const tensor = tensors.get(name)
      if (tensor === undefined) throw new FormatError({ file, tensor: name, detail: "there is no such tensor" })
      const count = length ?? tensor.bytes - offset
      if (!(offset >= 0 && count >= 0 && offset + count <= tensor.bytes)) {
        throw new RangeError(
          `Cannot read bytes ${offset} to ${offset + count} of tensor "${name}": it has ${tensor.bytes}`
        )
      }
      return withFile(
        file,
        (descriptor) => {
          const out = new Uint8Array(count)
          readAt(descriptor, out, tensor.offset + offset)
          return out
        },
        name
      )
    }
  }
}

const readHeader = (file: string, descriptor: number, size: number) => {
  const reader = new HeaderReader(descriptor, file, size)
  if (reader.u32() !== MAGIC) throw new FormatError({ file, detail: "it does not begin with GGUF" })
  const version = reader.u32()
  if (version !== 2 && version !== 3) {
    const swapped = version === 0x02000000 || version === 0x03000000
    throw new FormatError({ file, detail: swapped ? "it is big-endian" : `its version is ${version}, not 2 or 3` })
  }
  // an entry takes at least 13 bytes, a tensor at least 24
  const tensorCount = reader.count(Math.min(ggufLimits.tensors, Math.floor(reader.remaining / 24)), "tensor count")
  const entryCount = reader.count(
    Math.min(ggufLimits.metadataEntries, Math.floor(reader.remaining / 13)),
    "entry count"
  )
  const values = new Map<string, ValueLocation>()
  for (let i = 0; i < entryCount; i++) {
    const key = reader.string(ggufLimits.nameBytes, "key")
    if (values.has(key)) throw reader.fail(`metadata key "${key}" occurs twice`)
    values.set(key, readEntry(reader, key))
  }
  const alignment = readAlignment(reader, values.get("general.alignment")?.scalar)
  const parts = values.get("split.count")?.scalar
  if (typeof parts === "number" && parts > 1) {
    throw new FormatError({ file, detail: `it is one of ${parts} parts of a model, which must be merged first` })
  }
  return { version, values, tensors: readTensors(file, reader, tensorCount, alignment) }
}

const readAlignment = (reader: HeaderReader, value: MetadataValue | undefined): number => {
  if (value === undefined) return 32
  const power = typeof value === "number" && Number.isInteger(Math.log2(value))
  if (!power || value < 1 || value > ggufLimits.alignment) throw reader.fail(`the alignment is ${value}`)
  return value
}

const readTensors = (
  file: string,
  reader: HeaderReader,
  count: number,
  alignment: number
): ReadonlyMap<string, GgufTensor> => {
  const tensors = new Map<string, GgufTensor>()
  for (let i = 0; i < count; i++) {
    const name = reader.string(ggufLimits.nameBytes, "tensor name")
    const bad = (detail: string) => new FormatError({ file, tensor: name, detail })
    if (tensors.has(name)) throw bad("it occurs twice")
    const rank = reader.u32()
    if (rank > ggufLimits.dimensions) throw bad(`it has ${rank} dimensions, more than ${ggufLimits.dimensions}`)
    const shape: Array<number> = []
    for (let d = 0; d < rank; d++) shape.unshift(reader.count(Number.MAX_SAFE_INTEGER, `dimension of "${name}"`))
    const id = reader.u32()
    const info = blockTypes.get(id)
    if (info === undefined) throw bad(`its type ${blockTypeName(id)} is not supported`)
    const offset = reader.count(Number.MAX_SAFE_INTEGER, `offset of "${name}"`)
    if (offset % alignment !== 0) throw bad(`its offset ${offset} is not a multiple of ${alignment}`)
    const elements = shape.reduce((product, extent) => product * extent, 1)
    if (!Number.isSafeInteger(elements) || elements < 1) throw bad(`its shape is [${shape}]`)
    const row = shape.at(-1) ?? 1
    if (row % info.blockSize !== 0) throw bad(`rows of ${row} are not whole ${info.type} blocks of ${info.blockSize}`)
    tensors.set(name, { name, type: info.type, shape, offset, bytes: (elements / info.blockSize) * info.blockBytes })
  }
  return place(file, tensors, Math.ceil(reader.position / alignment) * alignment, reader.position + reader.remaining)
}

/** Offsets from the start of the data to offsets from the start of the file; none outside of it, none over another. */
const place = (
  file: string,
  tensors: ReadonlyMap<string, GgufTensor>,
  data: number,
  size: number
): ReadonlyMap<string, GgufTensor> => {
  const placed = new Map<string, GgufTensor>()
  for (const tensor of tensors.values()) {
    const offset = data + tensor.offset
    if (offset + tensor.bytes > size) {
      const detail = `it takes bytes ${offset} to ${offset + tensor.bytes}, the file has ${size}`
      throw new FormatError({ file, tensor: tensor.name, detail })
    }
    placed.set(tensor.name, { ...tensor, offset })
  }
  let last: GgufTensor | undefined
  for (const tensor of [...placed.values()].sort((a, b) => a.offset - b.offset)) {
    if (last !== undefined && tensor.offset < last.offset + last.bytes) {
      throw new FormatError({ file, tensor: tensor.name, detail: `it overlaps "${last.name}"` })
    }
    last = tensor
  }
  return placed
}
