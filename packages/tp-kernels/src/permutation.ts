/**
 * Permutations of features: checks, algebra, and the reordering of act-order weights (Algorithm 1).
 *
 * A permutation `p` is read as "position i takes element p[i]", so that applying it to X gives X[:, p].
 * @module
 */
import { type GroupOrder, groupOrder } from "@swarm/quant"
import { PlanError } from "./PlanError.ts"

/** Each of 0 .. length-1 once. */
export type Permutation = Uint32Array

/** 0, 1, ..., length - 1. */
export const identity = (length: number): Permutation => Uint32Array.from({ length }, (_, i) => i)

/** Whether every element stays where it is. */
export const isIdentity = (p: ArrayLike<number>): boolean => Array.prototype.every.call(p, (value, i) => value === i)

/**
 * Checks that `p` holds each of 0 .. length-1 once, and returns it as a fresh permutation.
 *
 * Throws `PlanError` (`permutation`) that names `subject` and the first bad position. O(length).
 */
export const permutation = (p: ArrayLike<number>, length = p.length, subject = "permutation"): Permutation => {
  const fail = (detail: string): never => {
    throw new PlanError({ reason: "permutation", subject, detail })
  }
  if (p.length !== length) fail(`${p.length} entries for ${length} features`)
  const seen = new Uint8Array(length)
  const out = new Uint32Array(length)
  for (let i = 0; i < length; i++) {
    const value = p[i] ?? Number.NaN
    if (!Number.isInteger(value) || value < 0 || value >= length) fail(`entry ${i} is ${value}, of ${length}`)
    if (seen[value] === 1) fail(`entry ${i} repeats ${value}`)
    seen[value] = 1
    out[i] = value
  }
  return out
}

/** The permutation that undoes `p`: `invert(p)[p[i]] = i`. `p` is trusted. */
export const invert = (p: Permutation): Permutation => {
  const out = new Uint32Array(p.length)
  for (let i = 0; i < p.length; i++) out[p[i]!] = i
  return out
}

/**
 * First `p`, then `q`: X[:, p][:, q] = X[:, compose(p, q)]. `q` may pick only some positions of `p`.
 *
 * Throws `RangeError` if `q` points beyond `p`.
 */
export const compose = (p: Permutation, q: Uint32Array): Uint32Array => {
  const out = new Uint32Array(q.length)
  for (let i = 0; i < q.length; i++) {
    const from = q[i]!
    if (from >= p.length) throw new RangeError(`Cannot compose: position ${from} of ${p.length}`)
    out[i] = p[from]!
  }
  return out
}

/**
 * X[:, order]: x (rows, features) -> fresh (rows, order.length) of the same type. `order` may pick a part.
 *
 * Throws `RangeError` if `x` is not `rows` rows long or `order` points beyond a row. O(rows x order.length).
 */
export const takeColumns = <A extends Float32Array | Float64Array>(x: A, rows: number, order: Uint32Array): A => {
  const features = rows === 0 ? 0 : x.length / rows
  if (!Number.isInteger(features)) throw new RangeError(`Cannot cut ${x.length} values into ${rows} rows`)
  const out = x instanceof Float64Array ? new Float64Array(rows * order.length) : new Float32Array(rows * order.length)
  for (let j = 0; j < order.length; j++) {
    const from = order[j]!
    if (from >= features && rows > 0) throw new RangeError(`Cannot take column ${from} of ${features}`)
    for (let row = 0; row < rows; row++) out[row * order.length + j] = x[row * features + from]!
  }
  return out as A
}

/**
 * Algorithm 1: P = stable argsort(g_idx). Rows W[P, :] have contiguous groups, and X[:, P] · W[P, :] = X · W.
 *
 * Throws `PlanError` (`groups`) if an index is not in 0 .. groupCount-1. O(rows + groups).
 * @see https://arxiv.org/abs/2402.04925 Algorithm 1
 */
export const reorder = (groupIndex: ArrayLike<number>, groupCount: number, subject = "g_idx"): GroupOrder => {
  try {
    return groupOrder(groupIndex, groupCount)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new PlanError({ reason: "groups", subject, detail: cause.message })
  }
}
