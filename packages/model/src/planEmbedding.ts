/**
 * The embedding, read from the checkpoint row by row.
 * @module
 */
import type { Architecture, Norm } from "./Architecture.ts"
import { readFloats, type Slice, slice } from "./Checkpoint.ts"
import type { Embedding } from "./Plan.ts"
import type { Weights } from "./Weights.ts"

/** Rows of the embedding matrix, with what the family does to them before block 0. */
export const planEmbedding = (architecture: Architecture, weights: Weights): Embedding => {
  const { hiddenSize, vocabSize, learnedPositions, tokenTypes, embeddingScale = 1 } = architecture
  const table = weights.weight("embedding")
  const positions = learnedPositions && weights.weight("embedding.positions")
  const ofText = tokenTypes === undefined ? undefined : readFloats(rowOf(weights.weight("embedding.tokenTypes"), 0))
  const norm = architecture.embeddingNorm ? rowNorm(architecture.norm, weights) : undefined
  return {
    lookup: (ids, position = 0) => {
      for (const id of ids) {
        if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
          throw new RangeError(`Cannot embed token ${id}: the vocabulary has ${vocabSize}`)
        }
      }
      const first = position + (learnedPositions?.offset ?? 0)
      if (positions !== undefined && !(position >= 0 && first + ids.length <= positions.rows)) {
        throw new RangeError(
          `Cannot embed ${ids.length} tokens at ${position}: the table has ${positions.rows} positions`
        )
      }
      const out = new Float32Array(ids.length * hiddenSize)
      ids.forEach((id, i) => {
        const row = out.subarray(i * hiddenSize, (i + 1) * hiddenSize)
        readFloats(rowOf(table, id), row)
        if (embeddingScale !== 1) for (let c = 0; c < row.length; c++) row[c]! *= embeddingScale
        if (positions !== undefined) add(row, readFloats(rowOf(positions, first + i)))
        if (ofText !== undefined) add(row, ofText)
        norm?.(row)
      })
      return out
    }
  }
}

const rowOf = ({ checkpoint, tensor, firstRow }: Slice, index: number): Slice =>
  slice(checkpoint, tensor, firstRow + index, firstRow + index + 1)

const add = (row: Float32Array, more: ArrayLike<number>): void => {
  for (let c = 0; c < row.length; c++) row[c]! += more[c]!
}

/** Norms a row in place, in f64 before the last rounding. */
const rowNorm = ({ kind, epsilon, unitOffset }: Norm, weights: Weights): ((row: Float32Array) => void) => {
  const gain = readFloats(weights.weight("embedding.norm"))
  const bias = weights.bias("embedding.norm")
  const shift = bias && readFloats(bias)
  const offset = unitOffset ? 1 : 0
  return (row) => {
    let sum = 0
    for (let c = 0; c < row.length; c++) sum += row[c]!
    const mean = kind === "layer" ? sum / row.length : 0
    let squares = 0
    for (let c = 0; c < row.length; c++) squares += (row[c]! - mean) ** 2
    const factor = 1 / Math.sqrt(squares / row.length + epsilon)
    for (let c = 0; c < row.length; c++) row[c] = (row[c]! - mean) * factor * (gain[c]! + offset) + (shift?.[c] ?? 0)
  }
}
