/**
 * Checkpoints of bitsandbytes: NF4 and FP4 with or without double quantization, and LLM.int8.
 * @see https://huggingface.co/docs/transformers/quantization/bitsandbytes
 * @module
 */
import {
  type CodebookBlocks,
  codebookLayout,
  codebookLinear,
  expandCodebook,
  expandNested,
  expandRows,
  rowLayout,
  rowLinear
} from "@swarm/quant"
import { Fields } from "../Fields.ts"
import type { StoredMatrix } from "../StoredMatrix.ts"
import { reencoded } from "./reencoded.ts"
import type { CodedMatrix, Decoded, StoredTensors } from "./StoredTensors.ts"

/** Every quantized layer of a checkpoint. */
export const readBitsandbytes = (stored: StoredTensors, fields: Fields): Decoded => {
  const int8 = fields.boolean("load_in_8bit") ?? false
  const four = fields.boolean("load_in_4bit") ?? false
  if (int8 === four) throw fields.fail("load_in_4bit", `is ${four}, and load_in_8bit too: one of them must be true`)
  if (int8) {
    return { encoding: '["int8"]', matrices: stored.stems(".SCB").map((stem) => rows(stored, stem)) }
  }
  const kinds = ["nf4", "fp4"] as const
  const matrices = kinds.flatMap((kind) =>
    stored.stems(`.weight.quant_state.bitsandbytes__${kind}`).map((stem) => codebook(stored, stem, kind))
  )
  return { encoding: '["4 bit"]', matrices }
}

/** LLM.int8: `weight` i8 (N, K), `SCB` f32 (N): the greatest magnitude of each row. */
const rows = (stored: StoredTensors, stem: string): CodedMatrix => {
  const [weight, scales, format] = [`${stem}.weight`, `${stem}.SCB`, `${stem}.weight_format`]
  const [outFeatures, inFeatures] = stored.matrix(weight, "i8")
  stored.check(scales, { types: ["f32"], shape: [outFeatures] })
  const formatted = stored.find(format) !== undefined
  if (formatted) {
    const [layout] = stored.read(format)
    if (Number(layout) !== 0) throw stored.fail(format, `is ${layout}: only rows (0) are known, not tiles of a GPU`)
  }
  const part = (from: number, to: number) => {
    const { buffer, byteOffset, length } = stored.read(weight, from, to)
    return { codes: new Int8Array(buffer, byteOffset, length), absmax: stored.floats(scales).subarray(from, to) }
  }
  const matrix: StoredMatrix = {
    layouts: [rowLayout],
    wideActivations: true,
    blocks: (_, from, to) => {
      const { codes, absmax } = part(from, to)
      return rowLinear(codes, absmax, inFeatures)
    },
    floats: (from, to, out) => {
      const { codes, absmax } = part(from, to)
      expandRows(codes, absmax, out)
    }
  }
  const parts = [weight, scales, ...(formatted ? [format] : [])]
  return stored.coded(weight, "INT8", [outFeatures, inFeatures], parts, matrix)
}

/** What `quant_state` says: JSON in a tensor of bytes. */
interface QuantState {
  readonly shape: readonly [rows: number, columns: number]
  readonly blockSize: number
  readonly nested: { readonly blockSize: number; readonly offset: number } | undefined
}

/** Greatest accepted `quant_state`. */
const MAX_STATE_BYTES = 1 << 16
const MAX_EXTENT = 1 << 30

const stateOf = (stored: StoredTensors, name: string): QuantState => {
  const { bytes } = stored.need(name)
  if (bytes > MAX_STATE_BYTES) throw stored.fail(name, `it has ${bytes} bytes`)
  let value: unknown
  try {
    const { buffer, byteOffset, byteLength } = stored.read(name)
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, byteOffset, byteLength)))
  } catch (cause) {
    throw stored.fail(name, "it is not JSON", cause)
  }
  if (typeof value !== "object" || value === null) throw stored.fail(name, "it is not a JSON object")
  const fields = Fields.of(name, value)
  const size = (key: string) => fields.need(key, fields.size(key, MAX_EXTENT))
  const shape: unknown = fields.get("shape")
  try {
    const nested = fields.has("nested_blocksize")
      ? { blockSize: size("nested_blocksize"), offset: fields.need("nested_offset", fields.number("nested_offset")) }
      : undefined
    if (!Array.isArray(shape) || shape.length !== 2) throw fields.fail("shape", "is not a pair")
    const [rows, columns]: ReadonlyArray<unknown> = shape
    if (!isExtent(rows) || !isExtent(columns)) throw fields.fail("shape", `is [${shape}]`)
    return { shape: [rows, columns], blockSize: size("blocksize"), nested }
  } catch (cause) {
    throw stored.fail(name, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

const isExtent = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_EXTENT

/** 4 bits: `weight` holds two codes a byte in the order of rows, `weight.absmax` a magnitude for each block of them. */
const codebook = (stored: StoredTensors, stem: string, kind: "nf4" | "fp4"): CodedMatrix => {
  const weight = `${stem}.weight`
  const of = (part: string) => `${weight}.${part}`
  const state = of(`quant_state.bitsandbytes__${kind}`)
  const { shape, blockSize, nested } = stateOf(stored, state)
  const [outFeatures, inFeatures] = shape
  const values = outFeatures * inFeatures
  const count = Math.ceil(values / blockSize)
  stored.check(weight, { types: ["u8"], shape: [Math.ceil(values / 2), 1] })
  stored.check(of("quant_map"), { types: ["f32"], shape: [16] })
  stored.check(of("absmax"), { types: [nested === undefined ? "f32" : "u8"], shape: [count] })
  if (nested !== undefined) {
    stored.check(of("nested_quant_map"), { types: ["f32"], shape: [256] })
    stored.check(of("nested_absmax"), { types: ["f32"], shape: [Math.ceil(count / nested.blockSize)] })
  }
  const table = stored.floats(of("quant_map"))
  const wild = table.find((entry) => !(Math.abs(entry) <= 1))
  if (wild !== undefined) throw stored.fail(of("quant_map"), `it has ${wild}, not in -1 to 1`)
  const bytes = (name: string) => {
    const { buffer, byteOffset, byteLength } = stored.read(name)
    return new Uint8Array(buffer, byteOffset, byteLength)
  }
  const read = (): CodebookBlocks => ({
    codes: bytes(weight),
    table,
    blockSize,
    absmax:
      nested === undefined
        ? stored.floats(of("absmax"))
        : expandNested(
            {
              codes: bytes(of("absmax")),
              table: stored.floats(of("nested_quant_map")),
              absmax: stored.floats(of("nested_absmax")),
              blockSize: nested.blockSize
            },
            nested.offset
          )
  })
  const floats: StoredMatrix["floats"] = (from, _, out) => {
    expandCodebook(read(), from * inFeatures, out)
  }
  const type = kind === "nf4" ? "NF4" : "FP4"
  const layout = codebookLayout(type, { table, blockSize }, inFeatures)
  const matrix: StoredMatrix =
    layout === undefined
      ? reencoded(`${type} codes`, inFeatures, floats)
      : { layouts: [layout], blocks: (_, from, to) => codebookLinear(read(), inFeatures, from, to, layout), floats }
  const parts =
    nested === undefined ? ["absmax", "quant_map"] : ["absmax", "quant_map", "nested_absmax", "nested_quant_map"]
  return stored.coded(weight, type, shape, [weight, state, ...parts.map(of)], matrix)
}
