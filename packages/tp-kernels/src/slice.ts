/**
 * A part of a layer, rows and columns in any order, straight from checkpoint words to the kernel's form.
 * @module
 */
import { type BlockLinear, blocksFit, groupedBlocks, groupOf } from "@swarm/quant"
import type { GroupedLinear } from "./GroupedLinear.ts"
import { PlanError } from "./PlanError.ts"

/** Block sizes of the kernel, the greatest (fastest) first. */
export const kernelBlocks = [256, 128, 64, 32, 16] as const

/** What to do where a group reaches over the edge of a shard. */
export type Straddle =
  /** Refuse with a `PlanError`. */
  | "refuse"
  /** Repeat the scale for smaller blocks, of at least 16 values: exact for weights, finer for int8 activations. */
  | "split"

/**
 * The greatest kernel block such that no block of any shard mixes two groups. `shards` are the rows of each shard, in
 * their order; a shard's last block may be short.
 *
 * Throws `PlanError` (`straddle`): if none fits; or, with `refuse`, if a shard begins inside a group. O(K) per size.
 */
export const blockSizeFor = (
  linear: GroupedLinear,
  shards: ReadonlyArray<Uint32Array>,
  straddle: Straddle = "split"
): number => {
  const fail = (detail: string): never => {
    throw new PlanError({ reason: "straddle", subject: linear.name, detail })
  }
  if (straddle === "refuse") {
    shards.forEach((rows, rank) => {
      const first = rows[0]
      const last = shards[rank - 1]?.at(-1)
      if (first === undefined || last === undefined) return
      const group = groupOf(linear, first)
      if (groupOf(linear, last) === group)
        fail(`group ${group} of ${linear.groupSize} rows lies on ranks ${rank - 1} and ${rank}`)
    })
  }
  const longest = Math.max(...shards.map((rows) => rows.length))
  const size = kernelBlocks.find(
    (block) => (block <= longest || block === 16) && shards.every((rows) => blocksFit(linear, rows, block))
  )
  return (
    size ??
    fail(`no block of 16 rows stays inside one group of ${linear.groupSize}, with shards of ${shards[0]?.length} rows`)
  )
}

/** Which part of a layer, and in which blocks. */
export interface Slice {
  /** Input features of the part, in order; each block of them must lie in one group. */
  readonly rows: Uint32Array
  /** Output features of the part, in order. */
  readonly columns: Uint32Array
  /** One of {@link kernelBlocks}. */
  readonly blockSize: number
}

/**
 * W[rows, columns] as the kernel's W (N, K): nothing is rounded, each block takes the scale and zero point of its group.
 *
 * Fresh arrays of the size of the part; the layer is read in place, so a rank never holds more than the checkpoint's
 * own words and its shard. Throws `PlanError` (`straddle`) if a block mixes groups, `RangeError` for a row or column
 * out of range. O(rows x columns).
 */
export const slice = (linear: GroupedLinear, { rows, columns, blockSize }: Slice): BlockLinear => {
  const { inFeatures, outFeatures } = linear
  if (rows.some((row) => row >= inFeatures) || columns.some((column) => column >= outFeatures)) {
    throw new RangeError(`Cannot slice "${linear.name}" (${inFeatures}, ${outFeatures}): a row or column is beyond it`)
  }
  if (!blocksFit(linear, rows, blockSize)) {
    const detail = `blocks of ${blockSize} rows mix groups of ${linear.groupSize}`
    throw new PlanError({ reason: "straddle", subject: linear.name, detail })
  }
  return groupedBlocks(linear, { rows, columns, bits: linear.bits, blockSize })
}
