/**
 * Checkpoints of 8-bit floats with a scale for each block of a matrix (of 128 x 128 weights, of a row, or of all).
 * @see https://arxiv.org/abs/2412.19437 section 3.3 (blocks of 128 x 128)
 * @module
 */
import { decodeFloats, type NarrowFloat } from "@swarm/tensor"
import type { Fields } from "../Fields.ts"
import type { StoredMatrix } from "../StoredMatrix.ts"
import { reencoded } from "./reencoded.ts"
import { type CodedMatrix, type Decoded, FLOATS, type StoredTensors } from "./StoredTensors.ts"

/** Names of the scales: weight = float * scale, whatever "inv" suggests. */
const SCALES = [".weight_scale_inv", ".weight_scale"]

/** Every quantized layer of a checkpoint. */
export const readFloats8 = (stored: StoredTensors, fields: Fields): Decoded => {
  const blocks = blockSizeOf(fields)
  return {
    encoding: JSON.stringify(["fp8", blocks]),
    matrices: SCALES.flatMap((suffix) => stored.stems(suffix).map((stem) => layerOf(stored, stem, suffix, blocks)))
  }
}

type BlockSize = readonly [rows: number, columns: number] | undefined

const blockSizeOf = (fields: Fields): BlockSize => {
  const value = fields.get("weight_block_size")
  if (value === undefined) return undefined
  const [rows, columns]: ReadonlyArray<unknown> = Array.isArray(value) && value.length === 2 ? value : []
  const positive = (extent: unknown): extent is number => Number.isSafeInteger(extent) && (extent as number) >= 1
  if (!positive(rows) || !positive(columns))
    throw fields.fail("weight_block_size", "is not a pair of positive integers")
  return [rows, columns]
}

/** Extents of the blocks that share a scale, and the shape that the scales must have. */
const scalesOf = (given: ReadonlyArray<number>, rows: number, columns: number, blocks: BlockSize) => {
  if (blocks !== undefined) {
    const [high, wide] = blocks
    return { high, wide, shape: [Math.ceil(rows / high), Math.ceil(columns / wide)] }
  }
  if (given.every((extent) => extent === 1)) return { high: rows, wide: columns, shape: given }
  return { high: 1, wide: columns, shape: given.length === 1 ? [rows] : [rows, 1] }
}

const layerOf = (stored: StoredTensors, stem: string, suffix: string, blocks: BlockSize): CodedMatrix => {
  const [weight, scale] = [`${stem}.weight`, stem + suffix]
  const [rows, columns] = stored.matrix(weight, "f8e4m3", "f8e5m2")
  const { high, wide, shape } = scalesOf(stored.need(scale).shape, rows, columns, blocks)
  stored.check(scale, { types: FLOATS, shape })
  const across = Math.ceil(columns / wide)
  const type = stored.need(weight).type as NarrowFloat
  const floats: StoredMatrix["floats"] = (from, to, out) => {
    const { buffer, byteOffset, byteLength } = stored.read(weight, from, to)
    decodeFloats(type, new Uint8Array(buffer, byteOffset, byteLength), out)
    const scales = stored.floats(scale)
    for (let row = from; row < to; row++) {
      const base = Math.floor(row / high) * across
      for (let column = 0; column < columns; column++) {
        const at = (row - from) * columns + column
        out[at] = out[at]! * scales[base + Math.floor(column / wide)]!
      }
    }
  }
  const matrix = reencoded("8-bit floats", columns, floats)
  const extra = [`${stem}.input_scale`].filter((name) => stored.find(name) !== undefined)
  return stored.coded(weight, "FP8", [rows, columns], [weight, scale, ...extra], matrix)
}
