/**
 * Parameters that lie in a checkpoint in another layout than that of the graph: transposed, or every so many rows of a
 * tensor that holds several roles.
 * @module
 */
import { takeRows } from "@swarm/quant"
import { type ElementType, elementBytes } from "@swarm/tensor"
import { type Checkpoint, type CheckpointTensor, type Slice, slice } from "../Checkpoint.ts"
import type { TensorPlace } from "../Family.ts"
import type { StoredMatrix } from "../StoredMatrix.ts"

/** The part of `tensor` that `place` says, or undefined if the tensor has no such part. Reads nothing yet. */
export const placedSlice = (
  checkpoint: Checkpoint,
  tensor: CheckpointTensor,
  { transposed = false, groups = 1, from = 0, to }: TensorPlace
): Slice | undefined => {
  const matrix = transposed && tensor.shape.length === 2 ? transpose(checkpoint, tensor) : { checkpoint, tensor }
  const { shape } = matrix.tensor
  const isVector = shape.length === 1
  if (isVector && groups === 1 && from === 0 && to === undefined) return slice(matrix.checkpoint, matrix.tensor)
  const columns = isVector ? 1 : (shape.at(-1) ?? 1)
  const rows = (isVector ? shape : shape.slice(0, -1)).reduce((product, extent) => product * extent, 1)
  const group = rows / groups
  const end = to ?? group
  if (!(Number.isInteger(group) && from >= 0 && from < end && end <= group)) return undefined
  const table = { ...matrix.tensor, shape: [rows, columns] }
  if (groups === 1) return slice(matrix.checkpoint, table, from, end)
  return takeGroups(matrix.checkpoint, table, { groups, group, from, to: end })
}

/** Values of a slice by axis: what a checkpoint would say of a tensor that held nothing else. */
export const extents = ({ rows, columns, tensor }: Slice): ReadonlyArray<number> =>
  tensor.shape.length === 1 ? [columns] : columns === 1 ? [rows] : [rows, columns]

/** A tensor of its own, whose bytes are computed from those of another one. */
const derived = (
  checkpoint: Checkpoint,
  tensor: CheckpointTensor,
  read: (offset: number, length: number) => Uint8Array
): { readonly checkpoint: Checkpoint; readonly tensor: CheckpointTensor } => ({
  checkpoint: { ...checkpoint, tensors: new Map([[tensor.name, tensor]]), read: (_, at, length) => read(at, length) },
  tensor
})

/** The rows [from, to) of each group as one matrix. */
const takeGroups = (
  checkpoint: Checkpoint,
  tensor: CheckpointTensor,
  part: { readonly groups: number; readonly group: number; readonly from: number; readonly to: number }
): Slice => {
  const [, columns = 1] = tensor.shape
  const taken = part.to - part.from
  const rows = taken * part.groups
  const source = (row: number) => Math.floor(row / taken) * part.group + part.from + (row % taken)
  /** Calls `take` for each run of rows that lie together: `count` from `first` on become those from `row` on. */
  const runs = (from: number, to: number, take: (first: number, count: number, row: number) => void) => {
    for (let row = from; row < to; ) {
      const count = Math.min(taken - (row % taken), to - row)
      take(source(row), count, row - from)
      row += count
    }
  }
  const shape = [rows, columns]
  const { matrix } = tensor
  if (matrix !== undefined) {
    const order = Uint32Array.from({ length: rows }, (_, row) => source(row))
    const all = part.groups * part.group
    const stored: StoredMatrix = {
      ...matrix,
      blocks: (layout, from, to) => takeRows(matrix.blocks(layout, 0, all), order.subarray(from, to)),
      floats: (from, to, out) =>
        runs(from, to, (first, count, row) =>
          matrix.floats(first, first + count, out.subarray(row * columns, (row + count) * columns))
        )
    }
    return slice(checkpoint, { ...tensor, shape, matrix: stored })
  }
  const row = columns * elementBytes(tensor.type as ElementType)
  const view = derived(checkpoint, { ...tensor, shape, bytes: rows * row }, (offset, length) => {
    const out = new Uint8Array(length)
    runs(offset / row, (offset + length) / row, (first, count, at) => {
      out.set(checkpoint.read(tensor.name, first * row, count * row), at * row)
    })
    return out
  })
  return slice(view.checkpoint, view.tensor)
}

/**
 * The transposed matrix. Each read reads all of it: layers that are stored so are read whole. Codes are by output
 * already, whatever the layout of the layer that they were made from.
 */
const transpose = (checkpoint: Checkpoint, tensor: CheckpointTensor) => {
  const { type, name } = tensor
  if (tensor.matrix !== undefined) return { checkpoint, tensor }
  const [rows = 1, columns = 1] = tensor.shape
  const size = elementBytes(type as ElementType)
  return derived(checkpoint, { ...tensor, shape: [columns, rows] }, (offset, length) => {
    const source = checkpoint.read(name, 0, tensor.bytes)
    const out = new Uint8Array(length)
    const first = offset / size
    for (let i = 0; i < length / size; i++) {
      const at = ((first + i) % rows) * columns + Math.floor((first + i) / rows)
      out.set(source.subarray(at * size, (at + 1) * size), i * size)
    }
    return out
  })
}
