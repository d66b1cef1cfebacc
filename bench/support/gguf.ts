/**
 * Writes GGUF files, version 3: header and metadata first, then each tensor piece by piece.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @module
 */
import * as fs from "node:fs"

const ALIGNMENT = 32
const VALUE = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const

/** A metadata value with its GGUF type. */
export type Value =
  | { readonly type: "uint32" | "float32"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: ReadonlyArray<string> }
  | { readonly type: "int32s"; readonly value: ReadonlyArray<number> }

/** A tensor to write. `dimensions`: fastest first, as the format has them. `type`: ggml's number of the block type. */
export interface Tensor {
  readonly name: string
  readonly dimensions: ReadonlyArray<number>
  readonly type: number
  readonly bytes: number
  /** The data in order, in pieces of any size that add up to `bytes`. A piece is used up before the next is asked for. */
  readonly data: () => Iterable<Uint8Array>
}

/** Writes a file: under another name first, so that a file that is there is whole. Holds one piece at a time. */
export const writeGguf = (
  file: string,
  metadata: ReadonlyArray<readonly [string, Value]>,
  tensors: ReadonlyArray<Tensor>
): void => {
  const partial = `${file}.${process.pid}.partial`
  const out = fs.openSync(partial, "w")
  try {
    let written = 0
    const write = (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(out, bytes, at)
      written += bytes.length
    }
    const pad = () => write(new Uint8Array(padding(written)))
    write(headerOf(metadata, tensors))
    pad()
    for (const { name, bytes, data } of tensors) {
      const start = written
      for (const piece of data()) write(piece)
      if (written - start !== bytes) throw new RangeError(`Tensor "${name}" gave ${written - start} of ${bytes} bytes`)
      pad()
    }
    fs.renameSync(partial, file)
  } finally {
    fs.closeSync(out)
    fs.rmSync(partial, { force: true })
  }
}

const padding = (bytes: number): number => (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT

const headerOf = (metadata: ReadonlyArray<readonly [string, Value]>, tensors: ReadonlyArray<Tensor>): Uint8Array => {
  const parts: Array<Uint8Array> = []
  const u32 = (value: number) => parts.push(new Uint8Array(Uint32Array.of(value).buffer))
  const u64 = (value: number) => parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer))
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value)
    u64(bytes.length)
    parts.push(bytes)
  }
  const array = (type: number, count: number) => {
    u32(VALUE.array)
    u32(type)
    u64(count)
  }
  const entry = (value: Value) => {
    switch (value.type) {
      case "uint32":
        u32(VALUE.uint32)
        return u32(value.value)
      case "float32":
        u32(VALUE.float32)
        return parts.push(new Uint8Array(Float32Array.of(value.value).buffer))
      case "string":
        u32(VALUE.string)
        return text(value.value)
      case "strings":
        array(VALUE.string, value.value.length)
        return value.value.forEach(text)
      case "int32s":
        array(VALUE.int32, value.value.length)
        return parts.push(new Uint8Array(Int32Array.from(value.value).buffer))
    }
  }
  parts.push(new TextEncoder().encode("GGUF"))
  u32(3)
  u64(tensors.length)
  u64(metadata.length)
  for (const [key, value] of metadata) {
    text(key)
    entry(value)
  }
  let offset = 0
  for (const { name, dimensions, type, bytes } of tensors) {
    text(name)
    u32(dimensions.length)
    for (const dimension of dimensions) u64(dimension)
    u32(type)
    u64(offset)
    offset += bytes + padding(bytes)
  }
  return Buffer.concat(parts)
}
