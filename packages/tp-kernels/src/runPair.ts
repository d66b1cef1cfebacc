/**
 * A rank's run of its part of two layers: Algorithms 2 and 3.
 * @module
 */
import type { BlockLinear } from "@swarm/quant"
import type { Between } from "./between.ts"
import type { Communicator } from "./Communicator.ts"
import { type AllReduceAlgorithm, allGather, allReduce, type CollectiveOptions } from "./collectives.ts"
import type { PairShard } from "./PairShard.ts"
import { takeColumns } from "./permutation.ts"
import { type Floats, product } from "./product.ts"

/** What multiplies: x (rows, K) -> fresh (rows, N). */
export type Kernel = (linear: BlockLinear, x: Float32Array, rows: number) => Float32Array | Promise<Float32Array>

/** How a rank runs a pair. */
export interface RunOptions {
  readonly group: Communicator
  readonly between: Between<Float32Array>
  /** @default {product} */
  readonly kernel?: Kernel
  /** For the sum at the end. */
  readonly reduce?: CollectiveOptions<AllReduceAlgorithm>
  /** For the exchange of features, where the plan has one. */
  readonly gather?: CollectiveOptions
}

const addBias = (x: Floats, bias: Float32Array | undefined): void => {
  if (bias === undefined) return
  for (let i = 0; i < x.length; i++) x[i]! += bias[i % bias.length]!
}

const inputs = <A extends Floats>({ inputOrders, first }: PairShard, x: A, rows: number): ReadonlyArray<A> => {
  const width = first[0]?.inFeatures ?? 0
  if (x.length !== rows * width) throw new RangeError(`Cannot read ${x.length} values as ${rows} rows of ${width}`)
  const sorted: Array<A> = []
  for (const order of inputOrders) {
    sorted.push(sorted[inputOrders.indexOf(order)] ?? takeColumns(x, rows, order))
  }
  return sorted
}

/** All ranks' features, each one's (rows, width) after the other -> the wanted ones (rows, order.length). */
const pick = <A extends Floats>(gathered: A, rows: number, width: number, order: Uint32Array): A => {
  const out =
    gathered instanceof Float64Array ? new Float64Array(rows * order.length) : new Float32Array(rows * order.length)
  for (let j = 0; j < order.length; j++) {
    const [owner, column] = [Math.floor(order[j]! / width), order[j]! % width]
    for (let row = 0; row < rows; row++) out[row * order.length + j] = gathered[(owner * rows + row) * width + column]!
  }
  return out as A
}

const checkHidden = (hidden: Floats, rows: number, { produced }: PairShard): void => {
  if (hidden.length !== rows * produced.length) {
    throw new RangeError(
      `Cannot go on with ${hidden.length} values between the layers: ${rows} rows of ${produced.length}`
    )
  }
}

/**
 * x: f32 (rows, inputs), the same on every rank -> y: f32 (rows, outputs), the same bits on every rank.
 *
 * `folded` and `local` plans communicate once (the sum), `gather` plans twice. Rejects with `RankLost`.
 * @see https://arxiv.org/abs/2402.04925 Algorithms 2 and 3
 */
export const runPair = async (
  shard: PairShard,
  x: Float32Array,
  rows: number,
  options: RunOptions
): Promise<Float32Array> => {
  const { group, between, kernel = product, reduce, gather } = options
  if (group.size !== shard.ranks || group.rank !== shard.rank) {
    throw new RangeError(`Cannot run shard ${shard.rank} of ${shard.ranks} as rank ${group.rank} of ${group.size}`)
  }
  const parts: Array<Float32Array> = []
  for (const [at, input] of inputs(shard, x, rows).entries()) {
    const linear = shard.first[at]
    if (linear === undefined) throw new RangeError(`Cannot run first layer ${at}: the shard has none`)
    const part = await kernel(linear, input, rows)
    addBias(part, shard.firstBias[at])
    parts.push(part)
  }
  let hidden = between(parts, rows)
  checkHidden(hidden, rows, shard)
  if (shard.movement === "gather" && shard.order !== undefined) {
    const all = new Float32Array(hidden.length * group.size)
    all.set(hidden, hidden.length * group.rank)
    hidden = pick(await allGather(group, all, gather), rows, shard.produced.length, shard.order)
  } else if (shard.order !== undefined) hidden = takeColumns(hidden, rows, shard.order)
  const y = await allReduce(group, await kernel(shard.second, hidden, rows), reduce)
  addBias(y, shard.secondBias)
  return y
}

/** All ranks' intermediate results. */
export interface ReferenceRun<A extends Floats> {
  /** Per rank: F's output before any exchange (rows, produced). */
  readonly hidden: ReadonlyArray<A>
  /** Per rank: its part of the sum (rows, outputs). */
  readonly partials: ReadonlyArray<A>
  /** The sum, in the order of the ranks, with the bias. */
  readonly y: A
}

/** The same algorithms for all ranks in one place, without messages, in f64 or f32. `shards[r]` is that of rank r. */
export const runReference = <A extends Floats>(
  shards: ReadonlyArray<PairShard>,
  x: A,
  rows: number,
  between: Between<A>
): ReferenceRun<A> => {
  const hidden = shards.map((shard) => {
    const parts = inputs(shard, x, rows).map((input, at) => {
      const linear = shard.first[at]
      if (linear === undefined) throw new RangeError(`Cannot run first layer ${at}: the shard has none`)
      const part = product(linear, input, rows)
      addBias(part, shard.firstBias[at])
      return part
    })
    const out = between(parts, rows)
    checkHidden(out, rows, shard)
    return out
  })
  const width = shards[0]?.produced.length ?? 0
  const all = new Float64Array(rows * width * shards.length)
  for (const [rank, part] of hidden.entries()) all.set(part, rank * rows * width)
  const partials = shards.map((shard, rank) => {
    const own = hidden[rank] ?? x
    if (shard.order === undefined) return product(shard.second, own, rows)
    if (shard.movement === "local") return product(shard.second, takeColumns(own, rows, shard.order), rows)
    const sorted = pick(all, rows, width, shard.order)
    return product(shard.second, (x instanceof Float64Array ? sorted : Float32Array.from(sorted)) as A, rows)
  })
  const y =
    x instanceof Float64Array ? new Float64Array(partials[0]?.length ?? 0) : new Float32Array(partials[0]?.length ?? 0)
  for (const part of partials) for (let i = 0; i < y.length; i++) y[i]! += part[i]!
  addBias(y, shards[0]?.secondBias)
  return { hidden, partials, y: y as A }
}
