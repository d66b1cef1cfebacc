/**
 * The typed values of GGUF metadata. Scalars are decoded at once, arrays only when somebody asks for them.
 * @module
 */
import { ggufLimits } from "../gguf.ts"
import type { HeaderReader } from "./HeaderReader.ts"

type Scalar = number | bigint | boolean | string
type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array

/** A value of the metadata. 64-bit integers are numbers where that is exact. */
export type MetadataValue = Scalar | NumberArray | ReadonlyArray<string>

/** A value that has been seen: a scalar itself, or where an array or a long string begins. */
export interface ValueLocation {
  readonly type: number
  readonly offset: number
  readonly scalar?: Scalar
}

const STRING = 8
const ARRAY = 9
/** Longer strings are left in the file until asked for. */
const SHORT = 256

interface ScalarType {
  readonly bytes: number
  readonly read: (reader: HeaderReader) => Scalar
  readonly array: (bytes: ArrayBuffer) => NumberArray
}

const scalarTypes: Readonly<Record<number, ScalarType>> = {
  0: { bytes: 1, read: (r) => r.u8(), array: (b) => new Uint8Array(b) },
  1: { bytes: 1, read: (r) => r.i8(), array: (b) => new Int8Array(b) },
  2: { bytes: 2, read: (r) => r.u16(), array: (b) => new Uint16Array(b) },
  3: { bytes: 2, read: (r) => r.i16(), array: (b) => new Int16Array(b) },
  4: { bytes: 4, read: (r) => r.u32(), array: (b) => new Uint32Array(b) },
  5: { bytes: 4, read: (r) => r.i32(), array: (b) => new Int32Array(b) },
  6: { bytes: 4, read: (r) => r.f32(), array: (b) => new Float32Array(b) },
  7: { bytes: 1, read: (r) => r.u8() !== 0, array: (b) => new Uint8Array(b) },
  10: { bytes: 8, read: (r) => r.i64(false), array: (b) => new BigUint64Array(b) },
  11: { bytes: 8, read: (r) => r.i64(true), array: (b) => new BigInt64Array(b) },
  12: { bytes: 8, read: (r) => r.f64(), array: (b) => new Float64Array(b) }
}

/** Reads the type of an entry and walks over its value. */
export const readEntry = (reader: HeaderReader, key: string): ValueLocation => {
  const type = reader.u32()
  const offset = reader.position
  if (type === STRING) {
    const length = reader.count(Math.min(ggufLimits.stringBytes, reader.remaining), `length of "${key}"`)
    if (length <= SHORT) return { type, offset, scalar: reader.text(length) }
    reader.skip(length)
    return { type, offset }
  }
  if (type === ARRAY) {
    const { item, count } = readArrayHead(reader)
    if (item === STRING) for (let i = 0; i < count; i++) reader.skipString(ggufLimits.stringBytes, `item of "${key}"`)
    else reader.skip(count * itemType(reader, item).bytes)
    return { type, offset }
  }
  return { type, offset, scalar: itemType(reader, type).read(reader) }
}

/** Decodes a value of `type` at the reader's position. Fresh. */
export const readValue = (reader: HeaderReader, type: number): MetadataValue => {
  if (type === STRING) return reader.string(ggufLimits.stringBytes, "string")
  if (type !== ARRAY) return itemType(reader, type).read(reader)
  const { item, count } = readArrayHead(reader)
  if (item !== STRING) {
    const scalar = itemType(reader, item)
    return scalar.array(reader.bytes(count * scalar.bytes))
  }
  const strings = new Array<string>(count)
  for (let i = 0; i < count; i++) strings[i] = reader.string(ggufLimits.stringBytes, "item")
  return strings
}

/** An item takes at least one byte, a string eight: no count can ask for more than the file has. */
const readArrayHead = (reader: HeaderReader): { readonly item: number; readonly count: number } => {
  const item = reader.u32()
  if (item === ARRAY) throw reader.fail("an array of arrays is not supported")
  const bytes = item === STRING ? 8 : itemType(reader, item).bytes
  const most = Math.min(ggufLimits.arrayItems, Math.floor(reader.remaining / bytes))
  return { item, count: reader.count(most, "length of an array") }
}

const itemType = (reader: HeaderReader, type: number): ScalarType => {
  const found = scalarTypes[type]
  if (found === undefined) throw reader.fail(`value type ${type} is unknown`)
  return found
}
