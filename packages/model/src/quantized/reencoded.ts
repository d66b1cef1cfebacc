/**
 * Matrices whose codes no kernel runs: 8-bit blocks made from their values.
 * @module
 */
import { type BlockLayout, quantize } from "@swarm/quant"
import type { StoredMatrix } from "../StoredMatrix.ts"

const BLOCK = 32

/** A matrix (N, K) by its values alone; `what` names the codes in the note. */
export const reencoded = (what: string, columns: number, floats: StoredMatrix["floats"]): StoredMatrix => {
  const layout: BlockLayout = {
    bits: 8,
    blockSize: BLOCK,
    hasZeroPoints: false,
    hasOffsets: false,
    note: `${what} as 8-bit integers: at most 0.40 % of the greatest weight of ${BLOCK} neighbours`
  }
  return {
    layouts: [layout],
    blocks: ({ blockSize }, from, to) => {
      const values = new Float32Array((to - from) * columns)
      floats(from, to, values)
      return quantize(values, to - from, columns, { bits: 8, blockSize })
    },
    floats
  }
}
