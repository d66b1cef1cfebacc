/**
 * Puts the offsets of block formats into packed weights, where they cost nothing.
 *
 * For each row n and block b the int8 kernel of `MatMulNBits` keeps -zero * scale[n, b] and multiplies it with the sum
 * of the block's activations; so it computes scale * (q - zero) as scale * q + (-zero * scale). With an offset added to
 * that number it computes scale * (q - zero) + offset: the formats with a float minimum (Q4_1, Q5_1, K-quants) need no
 * nodes of their own then. Rows lie in tiles of 16, so the numbers as (ceil(N / 16), blocks, 16).
 *
 * This layout is the runtime's own affair (MLAS of ONNX Runtime 1.30 on x64). Nothing is assumed: the numbers must be
 * found, all of them, in that order; else the weights stay as they are and the caller adds the offsets in the graph.
 * @see {@link https://github.com/microsoft/onnxruntime/blob/v1.30.0/onnxruntime/core/mlas/lib/qnbitgemm.h}
 * @module
 */
import type * as fs from "node:fs/promises"
import type { Fold, PackedEntry } from "../Engine.ts"
import { blobsOf } from "./prepacked.ts"
import { readFully, writeFully } from "./transfer.ts"

const TILE = 16

/** Folds what can be folded into the packed file; gives the names of the weights that were. */
export const foldOffsets = async (
  file: fs.FileHandle,
  entries: ReadonlyMap<string, PackedEntry>,
  folds: ReadonlyArray<Fold>
): Promise<ReadonlySet<string>> => {
  const done = new Set<string>()
  for (const fold of folds) {
    const entry = entries.get(fold.weights)
    for (const { offset, length } of Object.values(entry?.prepacked ?? {}).flatMap(blobsOf)) {
      const blob = new Uint8Array(Math.floor(length / 4) * 4)
      await readFully(file, blob, offset)
      if (!foldBlob(new Float32Array(blob.buffer), fold)) continue
      await writeFully(file, blob, offset)
      done.add(fold.weights)
      break
    }
  }
  return done
}

/** Adds the offsets to the numbers of a blob. False, and the blob unchanged, if they are not found. */
export const foldBlob = (blob: Float32Array, { scales, offsets, zero, rows, blocks }: Fold): boolean => {
  const scale = scales()
  const at = findNumbers(blob, scale, zero, rows, blocks)
  if (at < 0) return false
  const offset = offsets()
  forEachNumber(rows, blocks, (index, row, block) => {
    blob[at + index] = blob[at + index]! + offset[block * rows + row]!
    return true
  })
  return true
}

/** Where the numbers -zero * scale begin; -1 if they are nowhere. */
const findNumbers = (blob: Float32Array, scale: Float32Array, zero: number, rows: number, blocks: number): number => {
  const length = Math.ceil(rows / TILE) * blocks * TILE
  const first = Math.fround(-zero * scale[0]!)
  for (let at = 0; at + length <= blob.length; at++) {
    if (blob[at] !== first) continue
    const found = forEachNumber(
      rows,
      blocks,
      (index, row, block) => blob[at + index] === Math.fround(-zero * scale[row * blocks + block]!)
    )
    if (found) return at
  }
  return -1
}

/** Visits (index in the blob, row, block) until `visit` says false; whether it never did. */
const forEachNumber = (
  rows: number,
  blocks: number,
  visit: (index: number, row: number, block: number) => boolean
): boolean => {
  for (let row = 0; row < rows; row++) {
    const tile = Math.floor(row / TILE) * blocks * TILE + (row % TILE)
    for (let block = 0; block < blocks; block++) if (!visit(tile + block * TILE, row, block)) return false
  }
  return true
}
