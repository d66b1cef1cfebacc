/**
 * Some rows and columns of a weight, in any order, as a slice of its own.
 * @module
 */
import { type ElementType, elementBytes, toFloat32 } from "@swarm/tensor"
import { readFloats, type Slice } from "./Checkpoint.ts"
import { isRun, type StoredMatrix } from "./StoredMatrix.ts"

/**
 * W[rows, columns]: what the format has blocks for stays in blocks, anything else can be read as floats. Of plain elements
 * no more than the part is read, if the columns are a run. Reads nothing yet.
 */
export const slicePart = (s: Slice, rows: Uint32Array, columns: Uint32Array): Slice => {
  const { tensor, firstRow } = s
  const outputs = rows.map((row) => firstRow + row)
  const part = tensor.matrix?.part?.(outputs, columns)
  const matrix = part ?? floatsPart(s, rows, columns)
  const bytes = Math.ceil((tensor.bytes / Math.max(1, s.rows * s.columns)) * rows.length * columns.length)
  return {
    ...s,
    rows: rows.length,
    columns: columns.length,
    firstRow: 0,
    tensor: { ...tensor, shape: [rows.length, columns.length], bytes, matrix }
  }
}

const floatsPart = (s: Slice, rows: Uint32Array, columns: Uint32Array): StoredMatrix => {
  const { type, matrix } = s.tensor
  const isLoss = (matrix?.layouts.length ?? 0) > 0
  return {
    layouts: [],
    blocks: noBlocks,
    floats: floatsOf(s, rows, columns),
    ...(isLoss ? { note: `${type} held as f32: its blocks reach beyond the rank's part` } : {})
  }
}

const noBlocks = (): never => {
  throw new RangeError("There are no blocks for this part of a matrix")
}

const floatsOf = (s: Slice, rows: Uint32Array, columns: Uint32Array): StoredMatrix["floats"] => {
  const first = columns[0] ?? 0
  const isPlain = s.tensor.matrix === undefined && isRun(columns)
  return (from, to, out) => {
    const width = columns.length
    for (let at = from; at < to; at++) {
      const row = { ...s, firstRow: s.firstRow + (rows[at] ?? 0), rows: 1 }
      const target = out.subarray((at - from) * width, (at - from + 1) * width)
      if (isPlain) target.set(readRun(row, first, width))
      else {
        const whole = readFloats(row)
        for (let i = 0; i < width; i++) target[i] = whole[columns[i]!]!
      }
    }
  }
}

/** Columns of one row of plain elements. */
const readRun = ({ checkpoint, tensor, firstRow, columns }: Slice, first: number, width: number): Float32Array => {
  const type = tensor.type as ElementType
  const size = elementBytes(type)
  return toFloat32(type, checkpoint.read(tensor.name, (firstRow * columns + first) * size, width * size))
}
