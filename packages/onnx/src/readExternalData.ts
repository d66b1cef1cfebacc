/**
 * Reads where the weights of a serialized model lie.
 * @module
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire"
import type { ExternalData } from "./Graph.ts"
import * as Field from "./internal/fields.ts"
import { ModelFormatError } from "./ModelFormatError.ts"

/** Calls `field` for each field of a message; a field that it does not read (`false`) is skipped. */
const eachField = (bytes: Uint8Array, field: (reader: BinaryReader, number: number) => boolean): void => {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    const readable = type === WireType.LengthDelimited
    if (!readable || !field(reader, number)) reader.skip(type, number)
  }
}

const readEntry = (bytes: Uint8Array): readonly [key: string, value: string] => {
  let key = ""
  let value = ""
  eachField(bytes, (reader, number) => {
    if (number === Field.StringEntry.key) key = reader.string()
    else if (number === Field.StringEntry.value) value = reader.string()
    else return false
    return true
  })
  return [key, value]
}

const toCount = (tensor: string, key: string, text: string): number => {
  const count = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) {
    throw new ModelFormatError({ tensor, detail: `its external data has "${key}" = ${JSON.stringify(text)}` })
  }
  return count
}

const readInitializer = (bytes: Uint8Array): readonly [name: string, data: ExternalData] | undefined => {
  let name = ""
  const entries = new Map<string, string>()
  eachField(bytes, (reader, number) => {
    if (number === Field.TensorProto.name) name = reader.string()
    else if (number === Field.TensorProto.externalData) {
      const [key, value] = readEntry(reader.bytes())
      // one initializer may be packed for several operators, each with an entry of the same key
      let free = key
      while (entries.has(free)) free += "_"
      entries.set(free, value)
    } else return false
    return true
  })
  if (entries.size === 0) return undefined
  const { location, offset = "0", length, ...extra } = Object.fromEntries(entries)
  if (location === undefined || length === undefined) {
    throw new ModelFormatError({ tensor: name, detail: "its external data names no location or no length" })
  }
  return [name, { location, offset: toCount(name, "offset", offset), length: toCount(name, "length", length), extra }]
}

/**
 * The initializers of a serialized ModelProto whose bytes lie in files, by name. Weights inside the model are passed over.
 * A key of `extra` that occurs again gets an underscore. O(model), allocates only the entries.
 *
 * Throws {@link ModelFormatError}.
 *
 * @param model a ModelProto, borrowed
 */
export const readExternalData = (model: Uint8Array): ReadonlyMap<string, ExternalData> => {
  const found = new Map<string, ExternalData>()
  try {
    eachField(model, (modelReader, modelField) => {
      if (modelField !== Field.ModelProto.graph) return false
      eachField(modelReader.bytes(), (reader, number) => {
        if (number !== Field.GraphProto.initializer) return false
        const initializer = readInitializer(reader.bytes())
        if (initializer !== undefined) found.set(...initializer)
        return true
      })
      return true
    })
  } catch (cause) {
    if (cause instanceof ModelFormatError) throw cause
    throw new ModelFormatError({ detail: cause instanceof Error ? cause.message : String(cause), cause })
  }
  return found
}
