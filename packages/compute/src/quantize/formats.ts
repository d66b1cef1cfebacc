/**
 * What a matrix becomes in each kind of checkpoint: its tensors, and the values that they stand for.
 * @module
 */
import {
  expandGptq,
  type GptqOptions,
  type GroupedWeights,
  gptq,
  gptqTensors,
  quantizeInt8Rows,
  quantizeNf4,
  roundToNearest
} from "@swarm/quant"
import type { TensorToWrite } from "@swarm/tensor"
import type { BlockMatrix } from "./matrices.ts"

/** `q4`, `q8`: rounded to nearest, in GPTQ's layout; `gptq`: by the Hessian of the inputs; `nf4`, `int8`: as bitsandbytes. */
export type QuantizeTarget = "q4" | "q8" | "nf4" | "int8" | "gptq"

/** How matrices are grouped. */
export interface MatrixOptions {
  readonly to: QuantizeTarget
  /** Weights that share a scale in q4, q8 and gptq. */
  readonly group: number
  /** GPTQ takes the features with the greatest inputs first, whatever their group; else group by group. */
  readonly actOrder: boolean
}

/** A matrix as a checkpoint stores it. */
export interface Quantized {
  readonly tensors: ReadonlyArray<TensorToWrite>
  /** f32 (rows, columns) in the order of the source: what the codes of GPTQ's layout stand for. */
  readonly values?: Float32Array
}

/** `quantization_config` of the new `config.json`. */
export const quantizationConfig = ({ to, group, actOrder }: MatrixOptions): Readonly<Record<string, unknown>> => {
  switch (to) {
    case "nf4":
      return {
        quant_method: "bitsandbytes",
        load_in_8bit: false,
        load_in_4bit: true,
        bnb_4bit_quant_type: "nf4",
        bnb_4bit_use_double_quant: false,
        bnb_4bit_compute_dtype: "float32"
      }
    case "int8":
      return { quant_method: "bitsandbytes", load_in_8bit: true, load_in_4bit: false, llm_int8_threshold: 6 }
    default:
      return {
        quant_method: "gptq",
        bits: to === "q8" ? 8 : 4,
        group_size: group,
        desc_act: to === "gptq" && actOrder,
        sym: true,
        damp_percent: 0.01,
        true_sequential: false,
        checkpoint_format: "gptq"
      }
  }
}

/** Quantizes a matrix. `hessian`: f64 (columns, columns) of its inputs, for gptq. Throws `RangeError` and `WeightError`. */
export const quantizeMatrix = (matrix: BlockMatrix, options: MatrixOptions, hessian?: Float64Array): Quantized => {
  const { rows, columns } = matrix
  const w = matrix.read()
  if (options.to === "nf4") return nf4(matrix, w)
  if (options.to === "int8") return int8(matrix, w)
  const grouping = { bits: options.to === "q8" ? 8 : 4, groupSize: options.group } as const
  if (options.to !== "gptq") return grouped(matrix, roundToNearest(w, rows, columns, grouping))
  if (hessian === undefined) throw new RangeError(`Cannot quantize "${matrix.stem}": nothing is known of its inputs`)
  const order: GptqOptions["order"] = options.actOrder ? "activity" : "grouped"
  return grouped(matrix, gptq(w, rows, columns, hessian, { ...grouping, order }))
}

const grouped = ({ stem, order }: BlockMatrix, layer: GroupedWeights): Quantized => {
  const { inFeatures, outFeatures, bits, scales } = layer
  const packed = gptqTensors(layer, order)
  const groups = scales.length / outFeatures
  return {
    values: expandGptq(layer),
    tensors: [
      { name: `${stem}.qweight`, type: "i32", shape: [(inFeatures * bits) / 32, outFeatures], data: packed.qweight },
      { name: `${stem}.qzeros`, type: "i32", shape: [groups, (outFeatures * bits) / 32], data: packed.qzeros },
      { name: `${stem}.scales`, type: "f16", shape: [groups, outFeatures], data: packed.scales },
      { name: `${stem}.g_idx`, type: "i32", shape: [inFeatures], data: packed.groupIndex }
    ]
  }
}

const BLOCK = 64

const nf4 = ({ stem, rows, columns, order }: BlockMatrix, w: Float32Array): Quantized => {
  const blocks = quantizeNf4(reordered(w, columns, order), BLOCK)
  const state = { quant_type: "nf4", blocksize: BLOCK, dtype: "float32", shape: [rows, columns] }
  const text = new TextEncoder().encode(JSON.stringify(state))
  const name = `${stem}.weight`
  return {
    tensors: [
      { name, type: "u8", shape: [blocks.codes.length, 1], data: blocks.codes },
      { name: `${name}.absmax`, type: "f32", shape: [blocks.absmax.length], data: blocks.absmax },
      { name: `${name}.quant_map`, type: "f32", shape: [blocks.table.length], data: blocks.table },
      { name: `${name}.quant_state.bitsandbytes__nf4`, type: "u8", shape: [text.length], data: text }
    ]
  }
}

const int8 = ({ stem, rows, columns, order }: BlockMatrix, w: Float32Array): Quantized => {
  const { codes, absmax } = quantizeInt8Rows(reordered(w, columns, order), rows, columns)
  return {
    tensors: [
      { name: `${stem}.weight`, type: "i8", shape: [rows, columns], data: codes },
      { name: `${stem}.SCB`, type: "f32", shape: [rows], data: absmax },
      { name: `${stem}.weight_format`, type: "u8", shape: [], data: new Uint8Array(1) }
    ]
  }
}

/** Row r of the result is row order[r]. */
const reordered = (w: Float32Array, columns: number, order: Int32Array | undefined): Float32Array => {
  if (order === undefined) return w
  const out = new Float32Array(w.length)
  order.forEach((from, to) => {
    out.set(w.subarray(from * columns, (from + 1) * columns), to * columns)
  })
  return out
}
