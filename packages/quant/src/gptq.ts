/**
 * GPTQ: weights to integer codes, one input feature after the other, each time correcting those that are left for the
 * error that was made.
 * @see {@link https://arxiv.org/abs/2210.17323} GPTQ: Accurate Post-Training Quantization, Algorithm 1
 * @module
 */
import { chooseGrid, codeOf, type GridOptions } from "./internal/groupGrid.ts"
import { inverseFactor } from "./internal/inverseFactor.ts"
import { WeightError } from "./WeightError.ts"

/** How the weights of a layer are grouped and rounded. */
export interface GroupOptions {
  readonly bits: 2 | 3 | 4 | 8
  /** Input features that share a scale, 1 or more; K or more: one scale for each output feature. */
  readonly groupSize: number
  /** No zero points but the middle one. @default true */
  readonly symmetric?: boolean
  /** Scales are values of f16, as checkpoints store them. @default true */
  readonly halfScales?: boolean
}

/** What GPTQ does besides. */
export interface GptqOptions extends GroupOptions {
  /**
   * - `natural`: features as they come
   * - `activity` (act-order): those with the greatest inputs first; groups are then of features from anywhere
   * - `grouped` (group-aware reordering): as `activity`, but first within each group and then the groups by their greatest,
   *   so that groups stay contiguous and nothing is permuted at run time
   * @default "natural"
   */
  readonly order?: "natural" | "activity" | "grouped"
  /** Grids are chosen from the weights as they were, for groups of neighbours, so that any order keeps groups contiguous. @default false */
  readonly staticGroups?: boolean
  /** Part of the mean of the Hessian's diagonal that is added to it. Tenfold, up to 10, where the matrix is singular. @default 0.01 */
  readonly damping?: number
}

/** A layer in integer codes: W[n,k] = scales[g,n] * (codes[k,n] - zeros[g,n]) with g = groupIndex[k]. */
export interface GroupedWeights {
  readonly bits: 2 | 3 | 4 | 8
  readonly inFeatures: number
  readonly outFeatures: number
  readonly groupSize: number
  /** u8 (K, N), one code a byte */
  readonly codes: Uint8Array
  /** f64 (ceil(K / groupSize), N) */
  readonly scales: Float64Array
  /** u8 (ceil(K / groupSize), N) */
  readonly zeros: Uint8Array
  /** i32 (K): the group of each input feature */
  readonly groupIndex: Int32Array
}

/** Columns whose corrections of later ones are applied at once. */
const LAZY = 128
const GREATEST_DAMPING = 10

/**
 * Quantizes w: f32 or f64 (N, K) by the Hessian of its inputs, 2 / T Σ x xᵀ or any multiple: f64 (K, K); both are borrowed.
 *
 * An input that is always zero (a zero on the diagonal) loses its weights. In f64 throughout: N K² + K³ / 3
 * multiplications, about 1 ns each, and K² + 3 N K values of memory. Throws `RangeError` for bad shapes and options,
 * `WeightError` for weights that are not finite or too great for their scale.
 */
export const gptq = (
  w: Float32Array | Float64Array,
  outFeatures: number,
  inFeatures: number,
  hessian: Float64Array,
  options: GptqOptions
): GroupedWeights => {
  const { order: kind = "natural", staticGroups = false, damping = 0.01 } = options
  const target = start(w, outFeatures, inFeatures, options)
  const [K, N, size] = [inFeatures, outFeatures, target.groupSize]
  if (hessian.length !== K * K) throw new RangeError(`Cannot use ${hessian.length} values as a Hessian (${K}, ${K})`)
  const activity = Float64Array.from({ length: K }, (_, k) => hessian[k * K + k]!)
  const order = orderOf(kind, activity, size)
  const work = transposed(w, N, K, order)
  if (staticGroups) {
    const natural = transposed(w, N, K, orderOf("natural", activity, size))
    for (let g = 0; g * size < K; g++) setGrid(target, natural, g * size, Math.min(K, (g + 1) * size), g, options)
  }
  order.forEach((k, i) => {
    if (activity[k] === 0) work.fill(0, i * N, (i + 1) * N)
    target.groupIndex[k] = Math.floor((kind === "activity" && !staticGroups ? i : k) / size)
  })
  const u = factor(hessian, activity, order, damping)
  const errors = new Float64Array(LAZY * N)
  const groupAt = (i: number): number => target.groupIndex[order[i]!]!
  for (let from = 0; from < K; ) {
    const to = lazyEnd(from, K, staticGroups ? undefined : groupAt)
    for (let i = from; i < to; i++) {
      const k = order[i]!
      const g = groupAt(i)
      if (!staticGroups && (i === 0 || groupAt(i - 1) !== g)) {
        let end = i + 1
        while (end < K && groupAt(end) === g) end++
        setGrid(target, work, i, end, g, options)
      }
      roundColumn(target, work, i, k, g, u[i * K + i]!, errors.subarray((i - from) * N, (i - from + 1) * N))
      for (let j = i + 1; j < to; j++) correct(work, j * N, errors, (i - from) * N, u[i * K + j]!, N)
    }
    for (let j = to; j < K; j++) {
      let i = from
      for (; i + 4 <= to; i += 4) correctFour(work, j * N, errors, (i - from) * N, u, i * K + j, K, N)
      for (; i < to; i++) correct(work, j * N, errors, (i - from) * N, u[i * K + j]!, N)
    }
    from = to
  }
  return target
}

/**
 * Rounds each weight of w: f32 or f64 (N, K) to the nearest code of its group's grid: what GPTQ is measured against.
 * O(N K). Throws as `gptq`.
 */
export const roundToNearest = (
  w: Float32Array | Float64Array,
  outFeatures: number,
  inFeatures: number,
  options: GroupOptions
): GroupedWeights => {
  const target = start(w, outFeatures, inFeatures, options)
  const [K, N, size] = [inFeatures, outFeatures, target.groupSize]
  const work = transposed(w, N, K, orderOf("natural", new Float64Array(K), size))
  const unused = new Float64Array(N)
  for (let k = 0; k < K; k++) {
    const g = Math.floor(k / size)
    if (k % size === 0) setGrid(target, work, k, Math.min(K, k + size), g, options)
    target.groupIndex[k] = g
    roundColumn(target, work, k, k, g, 1, unused)
  }
  return target
}

/** The weights of a layer: f32 (N, K) into `out`, each product rounded once to f32. Throws `RangeError` for another length. */
export const expandGptq = (
  { inFeatures: K, outFeatures: N, codes, scales, zeros, groupIndex }: GroupedWeights,
  out = new Float32Array(N * K)
): Float32Array => {
  if (out.length !== N * K) throw new RangeError(`Cannot expand (${N}, ${K}) weights into ${out.length} values`)
  for (let k = 0; k < K; k++) {
    const g = groupIndex[k]! * N
    for (let n = 0; n < N; n++) out[n * K + k] = scales[g + n]! * (codes[k * N + n]! - zeros[g + n]!)
  }
  return out
}

/** Checks everything that is said of a layer, and makes its arrays. */
const start = (
  w: Float32Array | Float64Array,
  N: number,
  K: number,
  { bits, groupSize }: GroupOptions
): GroupedWeights => {
  if (![2, 3, 4, 8].includes(bits)) throw new RangeError(`Cannot quantize to ${bits} bits: 2, 3, 4 or 8`)
  if (!(Number.isInteger(N) && Number.isInteger(K) && N >= 1 && K >= 1 && w.length === N * K)) {
    throw new RangeError(`Cannot quantize ${w.length} values as a matrix (${N}, ${K})`)
  }
  if (!(Number.isInteger(groupSize) && groupSize >= 1)) throw new RangeError(`Cannot group by ${groupSize}`)
  for (let i = 0; i < w.length; i++) {
    if (!Number.isFinite(w[i]!)) {
      throw new WeightError({ row: Math.floor(i / K), column: i % K, detail: `a weight is ${w[i]}` })
    }
  }
  const size = Math.min(K, groupSize)
  const groups = Math.ceil(K / size)
  return {
    bits,
    inFeatures: K,
    outFeatures: N,
    groupSize: size,
    codes: new Uint8Array(K * N),
    scales: new Float64Array(groups * N),
    zeros: new Uint8Array(groups * N),
    groupIndex: new Int32Array(K)
  }
}

const orderOf = (kind: "natural" | "activity" | "grouped", activity: Float64Array, size: number): Int32Array => {
  const K = activity.length
  const natural = Int32Array.from({ length: K }, (_, k) => k)
  if (kind === "natural") return natural
  // typed arrays sort stably: of equals the first comes first
  const sorted = natural.sort((a, b) => activity[b]! - activity[a]!)
  if (kind === "activity") return sorted
  const groups: Array<Array<number>> = Array.from({ length: Math.ceil(K / size) }, () => [])
  for (const k of sorted) groups[Math.floor(k / size)]?.push(k)
  const greatest = (group: ReadonlyArray<number>) => activity[group[0]!]!
  return Int32Array.from(groups.sort((a, b) => greatest(b) - greatest(a)).flat())
}

/** (N, K) -> f64 (K, N) with row i holding input feature order[i]. */
const transposed = (w: Float32Array | Float64Array, N: number, K: number, order: Int32Array): Float64Array => {
  const out = new Float64Array(K * N)
  for (let n = 0; n < N; n++) for (let i = 0; i < K; i++) out[i * N + n] = w[n * K + order[i]!]!
  return out
}

const setGrid = (
  { bits, outFeatures, scales, zeros }: GroupedWeights,
  work: Float64Array,
  from: number,
  to: number,
  group: number,
  { symmetric = true, halfScales = true }: GroupOptions
): void => {
  const grid: GridOptions = { bits, symmetric, halfScales }
  const wild = chooseGrid(work, outFeatures, from, to, grid, group, scales, zeros)
  if (wild >= 0) throw new WeightError({ row: wild, column: from, detail: "the scale of a group is beyond f16" })
}

/** The factor of the inverse of the damped Hessian, in the given order. */
const factor = (hessian: Float64Array, activity: Float64Array, order: Int32Array, damping: number): Float64Array => {
  const K = activity.length
  const diagonal = activity.map((value) => (value === 0 ? 1 : value))
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / K
  for (let part = damping; part <= GREATEST_DAMPING; part *= 10) {
    const h = new Float64Array(K * K)
    for (let i = 0; i < K; i++) {
      const row = order[i]! * K
      for (let j = 0; j < K; j++) h[i * K + j] = hessian[row + order[j]!]!
      h[i * K + i] = diagonal[order[i]!]! + part * mean
    }
    const u = inverseFactor(h, K)
    if (u !== undefined) return u
  }
  throw new RangeError(
    `Cannot quantize by a Hessian that is not positive definite with ${GREATEST_DAMPING} times its mean`
  )
}

/** The end of the columns whose corrections wait: a group whose grid is yet to be chosen must have had all of them. */
const lazyEnd = (from: number, K: number, groupAt: ((i: number) => number) | undefined): number => {
  const most = Math.min(K, from + LAZY)
  if (groupAt === undefined || most === K || groupAt(most) === groupAt(from)) return most
  let end = most
  while (end > from + 1 && groupAt(end) === groupAt(end - 1)) end--
  return end
}

/** Rounds column i of the order and leaves its error, over the diagonal of U, in `errors`. */
const roundColumn = (
  { bits, outFeatures: N, codes, scales, zeros }: GroupedWeights,
  work: Float64Array,
  i: number,
  k: number,
  group: number,
  diagonal: number,
  errors: Float64Array
): void => {
  const top = 2 ** bits - 1
  for (let n = 0; n < N; n++) {
    const scale = scales[group * N + n]!
    const zero = zeros[group * N + n]!
    const weight = work[i * N + n]!
    const code = codeOf(weight, scale, zero, top)
    codes[k * N + n] = code
    errors[n] = (weight - scale * (code - zero)) / diagonal
  }
}

const correct = (
  work: Float64Array,
  to: number,
  errors: Float64Array,
  from: number,
  share: number,
  N: number
): void => {
  for (let n = 0; n < N; n++) work[to + n]! -= errors[from + n]! * share
}

/** The corrections for four columns, whose shares are u[at], u[at + K], ...: weights are read and written once. */
const correctFour = (
  work: Float64Array,
  to: number,
  errors: Float64Array,
  from: number,
  u: Float64Array,
  at: number,
  K: number,
  N: number
): void => {
  const [u0, u1, u2, u3] = [u[at]!, u[at + K]!, u[at + 2 * K]!, u[at + 3 * K]!]
  const [e1, e2, e3] = [from + N, from + 2 * N, from + 3 * N]
  for (let n = 0; n < N; n++) {
    work[to + n]! -= errors[from + n]! * u0 + errors[e1 + n]! * u1 + errors[e2 + n]! * u2 + errors[e3 + n]! * u3
  }
}
