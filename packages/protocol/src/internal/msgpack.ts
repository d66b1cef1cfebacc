/**
 * MessagePack for bodies: plain maps, arrays, strings, bytes, numbers, booleans and nil; nothing that makes a reader build more.
 *
 * The library's reader trusts declared lengths and understands extensions (records, errors, regular expressions), so
 * {@link scan} walks the bytes first: what it lets through holds as many values as it says, and none but those kinds.
 * @see https://github.com/msgpack/msgpack/blob/master/spec.md
 * @module
 */
import { Packr } from "msgpackr"
import { MAX_DEPTH, MAX_VALUES } from "../Limits.ts"
import { ProtocolError } from "../ProtocolError.ts"

const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: "number", encodeUndefinedAsNil: true })

/** A value as bytes: a view of a shared buffer that is not written again. */
export const pack = (value: object): Uint8Array => packr.pack(value)

/**
 * The value in `bytes`.
 * @throws ProtocolError `body` or `limit`
 */
export const unpack = (bytes: Uint8Array): unknown => {
  scan(bytes)
  try {
    return packr.unpack(bytes)
  } catch (error) {
    throw new ProtocolError("body", error instanceof Error ? error.message : String(error))
  }
}

/** Checks lengths, kinds, depth and count of the values in `bytes`: exactly one value, its end the end. O(bytes), allocates nothing. */
const scan = (bytes: Uint8Array): void => {
  const end = scanValue(bytes, 0, { values: 0 }, 0)
  if (end !== bytes.length) throw new ProtocolError("body", `${bytes.length - end} bytes follow the body`)
}

/** Bytes of the number after the type byte 0xca … 0xd3. */
const NUMBER_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8]

const scanValue = (bytes: Uint8Array, at: number, count: { values: number }, depth: number): number => {
  if (++count.values > MAX_VALUES) throw new ProtocolError("limit", `a body of more than ${MAX_VALUES} values`)
  if (at >= bytes.length) throw new ProtocolError("body", "the body ends within a value")
  const type = bytes[at] ?? 0
  const next = at + 1
  if (type < 0x80 || type >= 0xe0) return next
  if (type < 0x90) return scanValues(bytes, next, (type & 0x0f) * 2, true, count, depth)
  if (type < 0xa0) return scanValues(bytes, next, type & 0x0f, false, count, depth)
  if (type < 0xc0) return skip(bytes, next, type & 0x1f)
  if (type === 0xc0 || type === 0xc2 || type === 0xc3) return next
  if (type >= 0xca && type <= 0xd3) return skip(bytes, next, NUMBER_BYTES[type - 0xca] ?? 0)
  switch (type) {
    case 0xc4:
    case 0xd9:
      return skip(bytes, next + 1, length(bytes, next, 1))
    case 0xc5:
    case 0xda:
      return skip(bytes, next + 2, length(bytes, next, 2))
    case 0xc6:
    case 0xdb:
      return skip(bytes, next + 4, length(bytes, next, 4))
    case 0xdc:
      return scanValues(bytes, next + 2, length(bytes, next, 2), false, count, depth)
    case 0xdd:
      return scanValues(bytes, next + 4, length(bytes, next, 4), false, count, depth)
    case 0xde:
      return scanValues(bytes, next + 2, length(bytes, next, 2) * 2, true, count, depth)
    case 0xdf:
      return scanValues(bytes, next + 4, length(bytes, next, 4) * 2, true, count, depth)
    default:
      throw new ProtocolError("body", `the type 0x${type.toString(16)} is not allowed in a body`)
  }
}

const scanValues = (
  bytes: Uint8Array,
  at: number,
  values: number,
  map: boolean,
  count: { values: number },
  depth: number
): number => {
  if (depth >= MAX_DEPTH) throw new ProtocolError("limit", `a body nested more than ${MAX_DEPTH} deep`)
  if (values > bytes.length - at)
    throw new ProtocolError("body", `${values} values declared in ${bytes.length - at} bytes`)
  let next = at
  for (let i = 0; i < values; i++) {
    if (map && i % 2 === 0 && !isString(bytes[next] ?? 0))
      throw new ProtocolError("body", "the key of a map is no string")
    next = scanValue(bytes, next, count, depth + 1)
  }
  return next
}

const isString = (type: number): boolean => (type >= 0xa0 && type < 0xc0) || (type >= 0xd9 && type <= 0xdb)

const skip = (bytes: Uint8Array, at: number, size: number): number => {
  if (size > bytes.length - at) throw new ProtocolError("body", "the body ends within a value")
  return at + size
}

const length = (bytes: Uint8Array, at: number, size: number): number => {
  if (size > bytes.length - at) throw new ProtocolError("body", "the body ends within a value")
  let value = 0
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] ?? 0)
  return value
}
