/**
 * Writes GGUF files, also ones that lie.
 * @module
 */

/** A count or length: a number, or any 64 bits. */
export type Count = number | bigint

const u32 = (value: number) => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
const u64 = (value: Count) => {
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(BigInt(value))
  return out
}
const string = (text: string, length: Count = Buffer.byteLength(text)) =>
  Buffer.concat([u64(length), Buffer.from(text)])

/** The bytes of a typed value. */
export const value = {
  u32: (number: number) => Buffer.concat([u32(4), u32(number)]),
  u64: (number: Count) => Buffer.concat([u32(10), u64(number)]),
  f32: (number: number) => {
    const out = Buffer.alloc(4)
    out.writeFloatLE(number)
    return Buffer.concat([u32(6), out])
  },
  bool: (flag: boolean) => Buffer.concat([u32(7), Buffer.from([flag ? 1 : 0])]),
  string: (text: string, length?: Count) => Buffer.concat([u32(8), string(text, length)]),
  strings: (items: ReadonlyArray<string>, count: Count = items.length) =>
    Buffer.concat([u32(9), u32(8), u64(count), ...items.map((item) => string(item))]),
  i32s: (items: ReadonlyArray<number>, count: Count = items.length) =>
    Buffer.concat([u32(9), u32(5), u64(count), Buffer.from(Int32Array.from(items).buffer)]),
  nested: () => Buffer.concat([u32(9), u32(9), u64(1), u32(4), u64(0)]),
  unknown: () => Buffer.concat([u32(13), u32(0)])
}

export interface TensorSpec {
  readonly name: string
  /** In the file's order: innermost first. */
  readonly dims?: ReadonlyArray<Count>
  /** @default 0 (F32) */
  readonly type?: number
  readonly offset?: Count
  /** @default {rank} as many as `dims` */
  readonly rank?: number
}

export interface FileSpec {
  readonly magic?: string
  readonly version?: number
  readonly metadata?: ReadonlyArray<readonly [key: string, value: Buffer]>
  readonly tensors?: ReadonlyArray<TensorSpec>
  readonly tensorCount?: Count
  readonly entryCount?: Count
  /** What follows the header, which is padded to 32; a number is as many zeros. */
  readonly data?: number | Buffer
}

export const ggufFile = (spec: FileSpec): Buffer => {
  const { magic = "GGUF", version = 3, metadata = [], tensors = [], data = 0 } = spec
  const header = Buffer.concat([
    Buffer.from(magic),
    u32(version),
    u64(spec.tensorCount ?? tensors.length),
    u64(spec.entryCount ?? metadata.length),
    ...metadata.flatMap(([key, bytes]) => [string(key), bytes]),
    ...tensors.flatMap(({ name, dims = [32], type = 0, offset = 0, rank = dims.length }) => [
      string(name),
      u32(rank),
      ...dims.map(u64),
      u32(type),
      u64(offset)
    ])
  ])
  return Buffer.concat([
    header,
    Buffer.alloc((32 - (header.length % 32)) % 32),
    typeof data === "number" ? Buffer.alloc(data) : data
  ])
}
