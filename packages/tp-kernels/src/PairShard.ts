/**
 * The weights of one rank, cut from the checkpoint.
 * @module
 */
import type { BlockLinear } from "@swarm/quant"
import type { Movement, PairPlan } from "./PairPlan.ts"
import { identity, type Permutation } from "./permutation.ts"
import { slice } from "./slice.ts"

/** Everything that a rank needs to run its part of a pair. */
export interface PairShard {
  readonly rank: number
  readonly ranks: number
  readonly movement: Movement
  /** P1 per first layer. */
  readonly inputOrders: ReadonlyArray<Permutation>
  readonly first: ReadonlyArray<BlockLinear>
  /** Per first layer, in the order of its columns. */
  readonly firstBias: ReadonlyArray<Float32Array | undefined>
  /** Features that F yields on this rank. */
  readonly produced: Uint32Array
  /** See `RankPlan.order`. */
  readonly order?: Uint32Array
  readonly second: BlockLinear
  readonly secondBias?: Float32Array
}

/**
 * Cuts the shard of a rank: fresh arrays of 1/ranks of the layers. Make, store and drop one after the other, and the
 * memory needed is the checkpoint's words plus one shard. Throws `RangeError` for a rank that is not in the plan.
 */
export const cutShard = (plan: PairPlan, rank: number): PairShard => {
  const own = plan.ranks[rank]
  if (own === undefined) throw new RangeError(`Cannot cut the shard of rank ${rank} of ${plan.ranks.length}`)
  const { pair, inputOrders, firstBlocks, secondBlock, movement } = plan
  const columnsOf = (at: number): Uint32Array => {
    const columns = own.columns[pair.structure.kind === "channels" ? 0 : at]
    if (columns === undefined) throw new RangeError(`Cannot cut first layer ${at}: the plan has no columns for it`)
    return columns
  }
  const first = pair.first.map((linear, at) => {
    const [rows, blockSize] = [inputOrders[at], firstBlocks[at]]
    if (rows === undefined || blockSize === undefined)
      throw new RangeError(`Cannot cut first layer ${at}: no plan for it`)
    return slice(linear, { rows, columns: columnsOf(at), blockSize })
  })
  const firstBias = pair.first.map((_, at) => {
    const bias = pair.firstBias?.[at]
    return bias && Float32Array.from(columnsOf(at), (column) => bias[column] ?? 0)
  })
  return {
    rank,
    ranks: plan.ranks.length,
    movement,
    inputOrders,
    first,
    firstBias,
    produced: own.produced,
    ...(own.order === undefined ? {} : { order: own.order }),
    second: slice(pair.second, { rows: own.rows, columns: identity(pair.second.outFeatures), blockSize: secondBlock }),
    ...(pair.secondBias === undefined ? {} : { secondBias: pair.secondBias })
  }
}
