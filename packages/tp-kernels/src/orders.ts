/**
 * Orders of a layer's input rows in which a quantizer forms its groups: from statistics, and by search.
 * @module
 */
import { identity, type Permutation } from "./permutation.ts"

/** A layer before it is quantized. */
export interface OrderInput {
  /** f32 (K, N) */
  readonly weights: Float32Array
  readonly inFeatures: number
  readonly outFeatures: number
  readonly groupSize: number
  /** f32 (K): mean square of each input, the diagonal of the Hessian of the output error. */
  readonly importance: Float32Array
}

/** A way to choose an order: position i of the result is the row that is quantized i-th. */
export type Order = (input: OrderInput) => Permutation

/** Checks the shapes of an input. Throws `RangeError`. */
const check = ({ weights, inFeatures, outFeatures, groupSize, importance }: OrderInput): void => {
  if (weights.length !== inFeatures * outFeatures || importance.length !== inFeatures) {
    throw new RangeError(
      `Cannot order ${inFeatures} rows with ${weights.length} weights and ${importance.length} inputs`
    )
  }
  if (!Number.isInteger(groupSize) || groupSize < 1 || groupSize > inFeatures) {
    throw new RangeError(`Cannot form groups of ${groupSize} of ${inFeatures} rows`)
  }
}

/** Positions in order of falling keys; equal ones keep their places. */
const falling = (keys: Float32Array): Permutation =>
  Uint32Array.from(keys, (_, i) => i).sort((a, b) => keys[b]! - keys[a]! || a - b)

const rowPeaks = ({ weights, inFeatures, outFeatures }: OrderInput): Float32Array =>
  Float32Array.from({ length: inFeatures }, (_, k) => {
    let peak = 0
    for (let n = 0; n < outFeatures; n++) peak = Math.max(peak, Math.abs(weights[k * outFeatures + n]!))
    return peak
  })

/** As in the checkpoint: groups are neighbours, nothing has to be moved at run time. */
export const naturalOrder: Order = ({ inFeatures }) => identity(inFeatures)

/** GPTQ's act-order: the most important inputs first. @see https://arxiv.org/abs/2210.17323 */
export const actOrder: Order = (input) => {
  check(input)
  return falling(input.importance)
}

/** Rows of like magnitude together, so that none wastes another's scale. */
export const magnitudeOrder: Order = (input) => {
  check(input)
  return falling(rowPeaks(input))
}

/**
 * Group-aware: important rows first inside each natural group, and important groups first. Rows stay in their group, so
 * a checkpoint made in this order has `floor(k / groupSize)` as group index: nothing has to be moved, any layer shards.
 */
export const groupAwareOrder: Order = (input) => {
  check(input)
  const { importance, groupSize, inFeatures } = input
  const rows = [...falling(importance)]
  const rank = new Map<number, number>()
  for (const row of rows) {
    const group = Math.floor(row / groupSize)
    if (!rank.has(group)) rank.set(group, rank.size)
  }
  const groupRank = (row: number): number => rank.get(Math.floor(row / groupSize)) ?? inFeatures
  return Uint32Array.from(rows.toSorted((a, b) => groupRank(a) - groupRank(b)))
}

/** How the heads of an attention layer share keys and values. */
export interface HeadLayout {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
}

/**
 * Act-order for an attention's output projection that the values can follow: important channels first inside each head,
 * by the sum over the heads that share a key head. With groups that divide `headDim`, `planPair` folds it.
 *
 * The returned order throws `RangeError` if the rows are not heads x headDim.
 */
export const headOrder =
  ({ heads, kvHeads, headDim }: HeadLayout): Order =>
  (input) => {
    check(input)
    if (input.inFeatures !== heads * headDim || heads % kvHeads !== 0) {
      throw new RangeError(
        `Cannot order ${input.inFeatures} rows as ${heads} heads of ${headDim}, ${kvHeads} key heads`
      )
    }
    const perGroup = heads / kvHeads
    const inner = Array.from({ length: kvHeads }, (_, group) => {
      const sums = new Float32Array(headDim)
      for (let i = 0; i < perGroup * headDim; i++)
        sums[i % headDim]! += input.importance[group * perGroup * headDim + i]!
      return falling(sums)
    })
    return Uint32Array.from({ length: heads * headDim }, (_, i) => {
      const head = Math.floor(i / headDim)
      return head * headDim + (inner[Math.floor(head / perGroup)]?.[i % headDim] ?? 0)
    })
  }

/** Error that each of a group's rows brings when it is rounded with the group's scale: Σ_n h_k (w - ŵ)². */
const groupError = ({ weights, outFeatures: N, importance }: OrderInput, rows: Uint32Array, levels: number): number => {
  let error = 0
  for (let n = 0; n < N; n++) {
    let peak = 0
    for (let i = 0; i < rows.length; i++) peak = Math.max(peak, Math.abs(weights[rows[i]! * N + n]!))
    if (peak === 0) continue
    const scale = peak / levels
    for (let i = 0; i < rows.length; i++) {
      const w = weights[rows[i]! * N + n]!
      const off = w - Math.round(w / scale) * scale
      error += importance[rows[i]!]! * off * off
    }
  }
  return error
}

/**
 * The output error of rounding to nearest with symmetric scales, groups formed in the given order: Σ_kn h_k (w - ŵ)²,
 * with independent inputs. What an order is judged by. O(K x N).
 */
export const roundingError = (input: OrderInput, order: Permutation, bits: 2 | 3 | 4 | 8 = 4): number => {
  check(input)
  let error = 0
  for (let at = 0; at < input.inFeatures; at += input.groupSize) {
    error += groupError(input, order.subarray(at, at + input.groupSize), 2 ** (bits - 1) - 1)
  }
  return error
}

/** How {@link searchOrder} searches. */
export interface SearchOptions {
  /** Where it begins. @default {magnitudeOrder} */
  readonly start?: Order
  /** Exchanges that are tried. @default {2000} */
  readonly tries?: number
  readonly bits?: 2 | 3 | 4 | 8
  /** @default {1} */
  readonly seed?: number
}

/**
 * Learns an order: exchanges two rows of different groups, keeps what lowers {@link roundingError}. Never worse than
 * its start; the same seed gives the same order. O(tries x groupSize x N).
 */
export const searchOrder =
  ({ start = magnitudeOrder, tries = 2000, bits = 4, seed = 1 }: SearchOptions = {}): Order =>
  (input) => {
    check(input)
    const { inFeatures: K, groupSize } = input
    const levels = 2 ** (bits - 1) - 1
    const order = start(input).slice()
    const groups = Array.from({ length: Math.ceil(K / groupSize) }, (_, g) =>
      order.subarray(g * groupSize, (g + 1) * groupSize)
    )
    const errors = groups.map((rows) => groupError(input, rows, levels))
    let state = seed >>> 0
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.floor((state / 2 ** 32) * limit)
    }
    for (let t = 0; t < tries; t++) {
      const [a, b] = [below(K), below(K)]
      const [g, h] = [Math.floor(a / groupSize), Math.floor(b / groupSize)]
      if (g === h) continue
      const exchange = (): void => {
        const row = order[a]!
        order[a] = order[b]!
        order[b] = row
      }
      exchange()
      const [left, right] = [groupError(input, groups[g]!, levels), groupError(input, groups[h]!, levels)]
      if (left + right < errors[g]! + errors[h]!) {
        errors[g] = left
        errors[h] = right
      } else exchange()
    }
    return order
  }
