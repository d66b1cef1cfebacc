/**
 * Which rank holds what of two linear layers, in which order: the naive and the TP-aware algorithm as plans.
 * @module
 */
import { checkLinear, type GroupedLinear, orderOf } from "./GroupedLinear.ts"
import { PlanError } from "./PlanError.ts"
import { compose, invert, isIdentity, type Permutation } from "./permutation.ts"
import { checkStructure, hiddenFeatures, naturalPart, type Part, partFor, type Structure } from "./Structure.ts"
import { blockSizeFor, type Straddle } from "./slice.ts"

/**
 * Two layers with something between: y = F(x W1, ...) W2. One first layer for a plain MLP, a convolution, a graph layer;
 * gate and up for a gated MLP; q, k, v for attention, where y is the output projection.
 */
export interface LinearPair {
  readonly first: ReadonlyArray<GroupedLinear>
  readonly second: GroupedLinear
  readonly structure: Structure
  /** Per first layer: f32 (N), or none. */
  readonly firstBias?: ReadonlyArray<Float32Array | undefined>
  /** f32 (outputs of the second layer): added once, after the sum over the ranks. */
  readonly secondBias?: Float32Array
}

/**
 * How the first layer's outputs get into the order that the second layer's groups need.
 *
 * - `folded`: the first layers' columns are stored in that order. No work at run time.
 * - `local`: the rank holds the right features, and sorts them itself. No communication.
 * - `gather`: all ranks exchange all features.
 */
export type Movement = "folded" | "local" | "gather"

/** How to plan. */
export interface PairOptions {
  readonly ranks: number
  /**
   * `naive`: Algorithm 2, columns in natural order and an AllGather. `aware`: Algorithm 3, the first layers' columns in
   * the second layer's order. `auto`: `aware` where it is exact, else `naive`.
   * @default {"auto"}
   */
  readonly algorithm?: "naive" | "aware" | "auto"
  /** @default {"split"} */
  readonly straddle?: Straddle
}

/** What one rank holds. */
export interface RankPlan extends Part {
  /** Input features of the second layer on this rank, in order: its part of P2. */
  readonly rows: Uint32Array
  /**
   * Where each of `rows` is found: in `produced` for `local`, in all ranks' `produced` one after the other for
   * `gather`. Absent for `folded`.
   */
  readonly order?: Uint32Array
}

/** A plan for all ranks: shapes and orders, no weights. */
export interface PairPlan {
  readonly pair: LinearPair
  readonly movement: Movement
  /** Why the ranks have to exchange features, if `auto` found so. */
  readonly reason?: string
  /** P1 per first layer: x[:, P1] is its input. Equal ones are one array. */
  readonly inputOrders: ReadonlyArray<Permutation>
  /** P2: the second layer's rows in order of their groups. */
  readonly hiddenOrder: Permutation
  readonly ranks: ReadonlyArray<RankPlan>
  /** Kernel block of each first layer. */
  readonly firstBlocks: ReadonlyArray<number>
  /** Kernel block of the second layer. */
  readonly secondBlock: number
}

const fail = (reason: "shape" | "ranks", subject: string, detail: string): never => {
  throw new PlanError({ reason, subject, detail })
}

const checkPair = ({ first, second, structure, firstBias, secondBias }: LinearPair, ranks: number): void => {
  for (const linear of [...first, second]) checkLinear(linear)
  checkStructure(structure, ranks)
  const lead = first[0] ?? fail("shape", second.name, "no first layer")
  for (const { name, inFeatures } of first) {
    if (inFeatures !== lead.inFeatures)
      fail("shape", name, `${inFeatures} inputs beside ${lead.inFeatures} of ${lead.name}`)
  }
  const hidden = hiddenFeatures(structure)
  if (second.inFeatures !== hidden) fail("shape", second.name, `${second.inFeatures} inputs after ${hidden} features`)
  if (structure.kind === "heads" && first.length !== 3)
    fail("shape", lead.name, `${first.length} layers instead of q, k, v`)
  first.forEach(({ name, outFeatures }, at) => {
    const wanted =
      structure.kind === "channels"
        ? structure.channels
        : structure.headDim * (at === 0 ? structure.heads : structure.kvHeads)
    if (outFeatures !== wanted) fail("shape", name, `${outFeatures} outputs instead of ${wanted}`)
    const bias = firstBias?.[at]
    if (bias !== undefined && bias.length !== outFeatures)
      fail("shape", name, `a bias of ${bias.length} for ${outFeatures} outputs`)
  })
  if (secondBias !== undefined && secondBias.length !== second.outFeatures) {
    fail("shape", second.name, `a bias of ${secondBias.length} for ${second.outFeatures} outputs`)
  }
}

/** Layers that see one input mostly have one order (gate and up; q, k and v): the same array then, sorted by once. */
const shareEqual = (orders: ReadonlyArray<Permutation>): ReadonlyArray<Permutation> =>
  orders.map((order) => orders.find((other) => other.every((value, i) => value === order[i])) ?? order)

/** All ranks' parts in one order, and the movement that leads to `slices`. */
const follow = (structure: Structure, slices: ReadonlyArray<Uint32Array>): ReadonlyArray<RankPlan> =>
  slices.map((rows) => {
    const part = partFor(structure, rows)
    const places = new Map(Array.from(part.produced, (feature, at) => [feature, at]))
    const order = rows.map((row) => places.get(row) ?? 0)
    return isIdentity(order) ? { ...part, rows } : { ...part, rows, order }
  })

const exchange = (structure: Structure, slices: ReadonlyArray<Uint32Array>): ReadonlyArray<RankPlan> => {
  const parts = slices.map((_, rank) => naturalPart(structure, slices.length, rank))
  const places = invert(Uint32Array.from(parts.flatMap(({ produced }) => [...produced])))
  return parts.map((part, rank) => {
    const rows = slices[rank] ?? new Uint32Array()
    return { ...part, rows, order: compose(places, rows) }
  })
}

/**
 * Plans two layers for a number of ranks. Nothing of the weights is read but group indices and zero points.
 *
 * Throws `PlanError` with the reason: `shape`, `groups`, `ranks`, `straddle`; `commute` only for `aware`.
 * @see https://arxiv.org/abs/2402.04925 Algorithms 1 to 3
 */
export const planPair = (pair: LinearPair, options: PairOptions): PairPlan => {
  const { ranks, algorithm = "auto", straddle = "split" } = options
  checkPair(pair, ranks)
  const { first, second, structure } = pair
  const hiddenOrder = orderOf(second)
  const share = second.inFeatures / ranks
  if (!Number.isInteger(share)) fail("ranks", second.name, `${second.inFeatures} inputs for ${ranks} ranks`)
  const slices = Array.from({ length: ranks }, (_, rank) => hiddenOrder.subarray(rank * share, (rank + 1) * share))
  const inputOrders = shareEqual(first.map(orderOf))
  const common = {
    pair,
    inputOrders,
    hiddenOrder,
    firstBlocks: first.map((linear, at) => blockSizeFor(linear, [inputOrders[at] ?? new Uint32Array()])),
    secondBlock: blockSizeFor(second, slices, straddle)
  }
  if (algorithm === "naive") return { ...common, movement: "gather", ranks: exchange(structure, slices) }
  try {
    const plans = follow(structure, slices)
    return { ...common, movement: plans.some(({ order }) => order) ? "local" : "folded", ranks: plans }
  } catch (error) {
    if (algorithm === "aware" || !(error instanceof PlanError)) throw error
    return { ...common, movement: "gather", reason: error.detail, ranks: exchange(structure, slices) }
  }
}
