/**
 * The header of a safetensors file. Every number in it is hostile.
 * @module
 */
import { countElements, type ElementType, elementBytes } from "../Element.ts"
import { FormatError } from "../FormatError.ts"
import { readAt } from "../file.ts"
import type { TensorEntry } from "../Safetensors.ts"
import { isObject, type JsonObject, parseObject } from "./json.ts"

/** Greatest accepted header: the limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000

/** Greatest accepted number of tensors. The largest checkpoints have some 10^5. */
const MAX_TENSORS = 1_000_000

/** Greatest accepted number of dimensions. */
const MAX_RANK = 16

/** Bytes before the header: its length, u64. */
export const PREFIX_BYTES = 8

const typeNames: Readonly<Record<ElementType, string>> = {
  f32: "F32",
  f64: "F64",
  f16: "F16",
  bf16: "BF16",
  f8e4m3: "F8_E4M3",
  f8e5m2: "F8_E5M2",
  i8: "I8",
  u8: "U8",
  i16: "I16",
  u16: "U16",
  i32: "I32",
  u32: "U32",
  i64: "I64",
  u64: "U64",
  bool: "BOOL"
}

const types = new Map(Object.entries(typeNames).map(([type, name]) => [name, type as ElementType]))

/** The format's name of an element type. */
export const typeName = (type: ElementType): string => typeNames[type]

/** Reads the bytes of the header. Throws `Error` if its length is beyond the file or the limit. */
export const readHeader = (descriptor: number, size: number): Uint8Array => {
  if (size < PREFIX_BYTES) throw new Error(`${size} bytes are too few for a header`)
  const prefix = new Uint8Array(PREFIX_BYTES)
  readAt(descriptor, prefix, 0)
  const length = new DataView(prefix.buffer).getBigUint64(0, true)
  if (length > BigInt(MAX_HEADER_BYTES)) throw new Error(`a header of ${length} bytes, more than ${MAX_HEADER_BYTES}`)
  if (length > BigInt(size - PREFIX_BYTES)) throw new Error(`a header of ${length} bytes in a file of ${size}`)
  const header = new Uint8Array(Number(length))
  readAt(descriptor, header, PREFIX_BYTES)
  return header
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const parseMetadata = (value: unknown): ReadonlyMap<string, string> => {
  if (!isObject(value)) throw new Error(`"__metadata__" is not an object`)
  const metadata = new Map<string, string>()
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw new Error(`"__metadata__" field "${key}" is not a string`)
    metadata.set(key, text)
  }
  return metadata
}

const parseEntry = (file: string, name: string, value: unknown, dataStart: number): TensorEntry => {
  const reject = (detail: string, cause?: unknown): never => {
    throw new FormatError({ file, tensor: name, detail, cause })
  }
  if (!isObject(value)) return reject("its entry is not an object")
  const type = types.get(String(value.dtype))
  if (type === undefined) return reject(`the element type ${JSON.stringify(value.dtype)} is unknown`)
  const shape = value.shape
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount)) {
    return reject(`the shape ${JSON.stringify(shape)?.slice(0, 100)} is not a list of at most ${MAX_RANK} extents`)
  }
  let elements = 0
  try {
    elements = countElements(shape)
  } catch (cause) {
    return reject(`the shape [${shape}] has too many elements`, cause)
  }
  const offsets: unknown = value.data_offsets
  if (!Array.isArray(offsets) || offsets.length !== 2) return reject("its offsets are not a pair")
  const [begin, end]: ReadonlyArray<unknown> = offsets
  if (!isCount(begin) || !isCount(end) || end < begin) return reject(`the offsets [${begin}, ${end}] are not a range`)
  const bytes = elements * elementBytes(type)
  if (end - begin !== bytes) return reject(`${type} [${shape}] takes ${bytes} bytes, its offsets hold ${end - begin}`)
  return { name, type, shape, file, offset: dataStart + begin, bytes }
}

/** Throws unless the tensors, in order of offset, cover the data without hole and overlap, as the format demands. */
const checkCover = (file: string, tensors: Iterable<TensorEntry>, dataStart: number, size: number): void => {
  let end = dataStart
  for (const entry of [...tensors].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (entry.offset !== end) {
      const what = entry.offset < end ? "overlaps another tensor" : `leaves a hole of ${entry.offset - end} bytes`
      throw new FormatError({ file, tensor: entry.name, detail: `it begins at byte ${entry.offset} and ${what}` })
    }
    end = entry.offset + entry.bytes
    if (end > size) {
      throw new FormatError({ file, tensor: entry.name, detail: `it ends at byte ${end} of a file of ${size}` })
    }
  }
  if (end !== size) throw new Error(`the tensors end at byte ${end} of a file of ${size}`)
}

/** Parses and checks a header. Throws {@link FormatError} or `Error`. */
export const parseHeader = (file: string, header: Uint8Array, size: number) => {
  if (header[0] !== 0x7b) throw new Error("the header is not a JSON object")
  const dataStart = PREFIX_BYTES + header.length
  const fields: JsonObject = parseObject(header)
  let metadata: ReadonlyMap<string, string> = new Map()
  const tensors = new Map<string, TensorEntry>()
  for (const [name, value] of Object.entries(fields)) {
    if (name === "__metadata__") metadata = parseMetadata(value)
    else tensors.set(name, parseEntry(file, name, value, dataStart))
    if (tensors.size > MAX_TENSORS) throw new Error(`more than ${MAX_TENSORS} tensors`)
  }
  checkCover(file, tensors.values(), dataStart, size)
  return { metadata, tensors }
}
