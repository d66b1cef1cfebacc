/**
 * Reading safetensors: one file, or a folder of shards.
 *
 * Nothing but headers is kept, and no file is held open: each read opens, reads and closes.
 * @see {@link https://github.com/huggingface/safetensors#format}
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { toFloat32 } from "./convert.ts"
import { countElements, type ElementType, elementBytes, type TensorArray, viewArray } from "./Element.ts"
import { FormatError } from "./FormatError.ts"
import { readAt, withFile } from "./file.ts"
import { parseHeader, readHeader } from "./internal/header.ts"
import { isObject, parseObject } from "./internal/json.ts"

/** Where one tensor lies. */
export interface TensorEntry {
  readonly name: string
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
  /** The file that holds it. */
  readonly file: string
  /** First byte, from the start of the file. */
  readonly offset: number
  readonly bytes: number
}

/**
 * The tensors of a checkpoint. Every read throws {@link FormatError} for a name that is not there or a file that has
 * become unreadable, and `RangeError` for a range outside the tensor. Results are fresh and little-endian.
 */
export interface Safetensors {
  /** The file or folder that was opened. */
  readonly path: string
  /** The `__metadata__` of the file; of the first shard, for a folder. */
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, TensorEntry>
  /** The bytes of a tensor. */
  readonly read: (name: string) => Uint8Array
  /** `length` bytes of a tensor from its byte `offset`. */
  readonly readBytes: (name: string, offset: number, length: number) => Uint8Array
  /** The bytes of rows `[from, to)` along the outermost dimension. */
  readonly readRows: (name: string, from: number, to: number) => Uint8Array
  /** A tensor as the typed array of its type. */
  readonly readArray: (name: string) => TensorArray
  /** A tensor as f32, whatever its type (see `toFloat32`). */
  readonly readFloat32: (name: string) => Float32Array
}

/** Greatest accepted `model.safetensors.index.json`. */
export const MAX_INDEX_BYTES = 64 * 2 ** 20

const INDEX = "model.safetensors.index.json"
const SINGLE = "model.safetensors"

const makeReader = (
  where: string,
  metadata: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, TensorEntry>
): Safetensors => {
  const find = (name: string): TensorEntry => {
    const entry = tensors.get(name)
    if (entry === undefined) throw new FormatError({ file: where, tensor: name, detail: "there is no such tensor" })
    return entry
  }
  const readRange = (entry: TensorEntry, offset: number, length: number): Uint8Array => {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
    if (!whole || offset < 0 || length < 0 || offset + length > entry.bytes) {
      throw new RangeError(
        `Cannot read bytes ${offset} to ${offset + length} of tensor "${entry.name}": it has ${entry.bytes}`
      )
    }
    return withFile(
      entry.file,
      (descriptor, size) => {
        if (entry.offset + entry.bytes > size) throw new Error(`the file has shrunk to ${size} bytes`)
        const out = new Uint8Array(length)
        readAt(descriptor, out, entry.offset + offset)
        return out
      },
      entry.name
    )
  }
  const read = (name: string): Uint8Array => {
    const entry = find(name)
    return readRange(entry, 0, entry.bytes)
  }
  return {
    path: where,
    metadata,
    tensors,
    read,
    readBytes: (name, offset, length) => readRange(find(name), offset, length),
    readRows: (name, from, to) => {
      const entry = find(name)
      const rows = entry.shape[0]
      const whole = Number.isSafeInteger(from) && Number.isSafeInteger(to)
      if (rows === undefined || !whole || from < 0 || to < from || to > rows) {
        throw new RangeError(`Cannot read rows ${from} to ${to} of tensor "${name}": its shape is [${entry.shape}]`)
      }
      const rowBytes = countElements(entry.shape.slice(1)) * elementBytes(entry.type)
      return readRange(entry, from * rowBytes, (to - from) * rowBytes)
    },
    readArray: (name) => viewArray(find(name).type, read(name)),
    readFloat32: (name) => toFloat32(find(name).type, read(name))
  }
}

/**
 * Opens one safetensors file: reads and checks its header. O(header).
 *
 * Throws {@link FormatError} for a file that is missing, truncated or malformed: no tensor that `tensors` lists can lie
 * outside the file or over another.
 *
 * @example Read one tensor as f32
 * ```ts
 * import { openSafetensors, writeSafetensors } from "@swarm/tensor"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const file = join(tmpdir(), `example-${process.pid}.safetensors`)
 * writeSafetensors(file, [{ name: "w", type: "f32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }])
 * console.log(openSafetensors(file).readFloat32("w"))
 * ```
 */
export const openSafetensors = (file: string): Safetensors => {
  const header = withFile(file, (descriptor, size) => parseHeader(file, readHeader(descriptor, size), size))
  return makeReader(file, header.metadata, header.tensors)
}

/** The checked `weight_map` of an index file: tensor name to file name. */
const readIndex = (file: string): ReadonlyMap<string, string> =>
  withFile(file, (descriptor, size) => {
    if (size > MAX_INDEX_BYTES) throw new Error(`the index has ${size} bytes, more than ${MAX_INDEX_BYTES}`)
    const bytes = new Uint8Array(size)
    readAt(descriptor, bytes, 0)
    const map = parseObject(bytes).weight_map
    if (!isObject(map)) throw new Error(`"weight_map" is not an object`)
    const names = new Map<string, string>()
    for (const [tensor, shard] of Object.entries(map)) {
      // a shard lies beside its index: a path could name any file of the machine
      if (typeof shard !== "string" || shard === "" || shard === ".." || /[/\\\0]/.test(shard)) {
        throw new FormatError({ file, tensor, detail: `${JSON.stringify(shard)} is not a file name` })
      }
      names.set(tensor, shard)
    }
    if (names.size === 0) throw new Error(`"weight_map" is empty`)
    return names
  })

/** `model.safetensors`, or the only file of its kind: quantizers have called theirs `gptq_model-4bit-128g.safetensors`. */
const singleFile = (folder: string): string => {
  const usual = path.join(folder, SINGLE)
  if (fs.existsSync(usual) || !fs.existsSync(folder)) return usual
  const [name, ...others] = fs.readdirSync(folder).filter((file) => file.endsWith(".safetensors"))
  return name === undefined || others.length > 0 ? usual : path.join(folder, name)
}

/**
 * Opens the checkpoint of a folder: the shards that `model.safetensors.index.json` names, or else `model.safetensors`, or
 * else the only safetensors file.
 *
 * Throws {@link FormatError} as {@link openSafetensors}, and for a shard that is missing or lacks a tensor of the index.
 */
export const openShards = (folder: string): Safetensors => {
  const index = path.join(folder, INDEX)
  if (!fs.existsSync(index)) return openSafetensors(singleFile(folder))
  const shards = new Map<string, Safetensors>()
  const tensors = new Map<string, TensorEntry>()
  for (const [name, file] of readIndex(index)) {
    let shard = shards.get(file)
    if (shard === undefined) {
      shard = openSafetensors(path.join(folder, file))
      shards.set(file, shard)
    }
    const entry = shard.tensors.get(name)
    if (entry === undefined) {
      throw new FormatError({ file: shard.path, tensor: name, detail: "the index places it here, but it is not" })
    }
    tensors.set(name, entry)
  }
  const [first] = shards.values()
  return makeReader(folder, first?.metadata ?? new Map(), tensors)
}
