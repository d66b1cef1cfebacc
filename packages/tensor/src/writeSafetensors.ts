/**
 * Writing safetensors.
 * @module
 */
import * as fs from "node:fs"
import { countElements, type ElementType, elementBytes, viewBytes } from "./Element.ts"
import { PREFIX_BYTES, typeName } from "./internal/header.ts"

/** One tensor to write. `data` is borrowed: little-endian elements, row-major. */
export interface TensorToWrite {
  readonly name: string
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
  readonly data: ArrayBufferView
}

/** Data begins at a multiple of this, and wider elements come first, so every tensor is aligned in a mapped file. */
const ALIGNMENT = 8

const check = (entries: ReadonlyArray<TensorToWrite>): void => {
  const names = new Set<string>()
  for (const { data, name, shape, type } of entries) {
    if (name === "__metadata__" || names.has(name)) {
      throw new RangeError(`Cannot write a tensor named "${name}": the name is taken`)
    }
    names.add(name)
    const bytes = countElements(shape) * elementBytes(type)
    if (data.byteLength !== bytes) {
      throw new RangeError(
        `Cannot write tensor "${name}": ${type} [${shape}] takes ${bytes} bytes, not ${data.byteLength}`
      )
    }
  }
}

/**
 * Writes `entries` to `path`. The file appears whole or not at all: it is written beside and renamed.
 *
 * Throws `RangeError` for a name that occurs twice and for data that does not fit its shape.
 *
 * @param metadata becomes the `__metadata__` of the file
 */
export const writeSafetensors = (
  path: string,
  entries: Iterable<TensorToWrite>,
  metadata?: Readonly<Record<string, string>>
): void => {
  const tensors = [...entries].sort(
    (a, b) => elementBytes(b.type) - elementBytes(a.type) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  )
  check(tensors)
  const fields: Array<[string, unknown]> = metadata === undefined ? [] : [["__metadata__", metadata]]
  let end = 0
  for (const { data, name, shape, type } of tensors) {
    fields.push([name, { dtype: typeName(type), shape, data_offsets: [end, end + data.byteLength] }])
    end += data.byteLength
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)))
  const header = new Uint8Array(PREFIX_BYTES + Math.ceil(text.length / ALIGNMENT) * ALIGNMENT).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - PREFIX_BYTES), true)
  header.set(text, PREFIX_BYTES)

  const part = `${path}.${process.pid}.part`
  try {
    const descriptor = fs.openSync(part, "w")
    try {
      for (const bytes of [header, ...tensors.map((tensor) => viewBytes(tensor.data))]) {
        for (let done = 0; done < bytes.length; ) done += fs.writeSync(descriptor, bytes, done)
      }
    } finally {
      fs.closeSync(descriptor)
    }
    fs.renameSync(part, path)
  } catch (cause) {
    fs.rmSync(part, { force: true })
    throw cause
  }
}
