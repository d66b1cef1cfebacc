/**
 * From a path to a described, checked model: Hugging Face folders and GGUF files.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { FormatError } from "@swarm/tensor"
import type { Architecture } from "./Architecture.ts"
import { type Checkpoint, ggufCheckpoint, readFloats, safetensorsCheckpoint, slice } from "./Checkpoint.ts"
import type { Description, Format } from "./Family.ts"
import { Fields } from "./Fields.ts"
import { type GgufMetadata, openGguf } from "./gguf.ts"
import { ConfigurationError } from "./ModelError.ts"
import { decodeCheckpoint } from "./quantized/decodeCheckpoint.ts"
import { findDialect } from "./registry.ts"
import { bindWeights, type Weights } from "./Weights.ts"

/** A checkpoint whose tensors are those that its description says. */
export interface Opened {
  readonly architecture: Architecture
  readonly weights: Weights
  /** Folder of the tokenizer's files, or the GGUF file's metadata. */
  readonly source:
    | { readonly format: "huggingFace"; readonly folder: string }
    | { readonly format: "gguf"; readonly file: string; readonly metadata: GgufMetadata }
}

/** Greatest accepted `config.json`. */
const MAX_CONFIG_BYTES = 4 * 2 ** 20
/** Greatest tensor that a description may read. */
const MAX_VALUES = 1 << 16

/** Opens a folder with `config.json` and safetensors. Throws `ModelError`s. */
export const openFolder = (folder: string): Opened => {
  const file = path.join(folder, "config.json")
  const fields = Fields.of(file, readJson(file))
  const type = fields.need("model_type", fields.string("model_type"))
  // the architecture is named before any tensor is looked for, so that an unknown one is what the error says
  findDialect("huggingFace", type, file)
  const checkpoint = decodeCheckpoint(safetensorsCheckpoint(folder), quantizationOf(folder, fields))
  return {
    ...describe("huggingFace", type, fields, checkpoint),
    source: { format: "huggingFace", folder }
  }
}

/** The description in a `config.json` alone, whose tensors may not be on this machine. Throws `ModelError`s. */
export const openConfiguration = (file: string): Architecture => {
  const fields = Fields.of(file, readJson(file))
  const type = fields.need("model_type", fields.string("model_type"))
  const absent = { has: () => false, shape: () => undefined, values: () => undefined }
  return findDialect("huggingFace", type, file).describe({ fields, ...absent }, type)
}

/** Opens a GGUF file. Throws `ModelError`s. */
export const openGgufFile = (file: string): Opened => {
  const gguf = openGguf(file)
  const type = gguf.metadata.get("general.architecture")
  if (typeof type !== "string") {
    throw new ConfigurationError({ file, field: "general.architecture", detail: "is missing or not a string" })
  }
  const fields = new Fields(file, (key) => gguf.metadata.get(`${type}.${key}`), `${type}.`)
  return {
    ...describe("gguf", type, fields, ggufCheckpoint(gguf)),
    source: { format: "gguf", file, metadata: gguf.metadata }
  }
}

const describe = (format: Format, type: string, fields: Fields, checkpoint: Checkpoint) => {
  const dialect = findDialect(format, type, fields.file)
  const description: Description = {
    fields,
    has: (name) => checkpoint.tensors.has(name),
    shape: (name) => checkpoint.tensors.get(name)?.shape,
    values: (name) => {
      const tensor = checkpoint.tensors.get(name)
      if (tensor === undefined) return undefined
      if (tensor.bytes > MAX_VALUES) {
        throw new FormatError({ file: checkpoint.path, tensor: name, detail: `it has ${tensor.bytes} bytes` })
      }
      return [...readFloats(slice(checkpoint, tensor))]
    }
  }
  const architecture = dialect.describe(description, type)
  return { architecture, weights: bindWeights(checkpoint, architecture, dialect) }
}

/** Files beside `config.json` in which the first versions of GPTQ and AWQ said what they had done. */
const OLD_FILES = { "quantize_config.json": "gptq", "quant_config.json": "awq" }

/** What a checkpoint says about its quantization. */
const quantizationOf = (folder: string, fields: Fields): Fields | undefined => {
  const record = fields.record("quantization_config")
  if (record !== undefined) return record
  for (const [name, method] of Object.entries(OLD_FILES)) {
    const file = path.join(folder, name)
    if (fs.existsSync(file)) return Fields.of(file, { quant_method: method, ...readJson(file) })
  }
  return undefined
}

const readJson = (file: string): object => {
  let value: unknown
  try {
    const { size } = fs.statSync(file)
    if (size > MAX_CONFIG_BYTES) throw new RangeError(`it has ${size} bytes, more than ${MAX_CONFIG_BYTES}`)
    value = JSON.parse(fs.readFileSync(file, "utf8"))
  } catch (cause) {
    throw new FormatError({ file, detail: cause instanceof Error ? cause.message : "it cannot be read", cause })
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FormatError({ file, detail: "it is not a JSON object" })
  }
  return value
}
