/**
 * A linear layer as a GPTQ checkpoint holds it: integer codes, and a scale and a zero point per group of input rows.
 * @module
 */
import type { GroupedCodes } from "@swarm/quant"
import { PlanError } from "./PlanError.ts"
import { identity, type Permutation, reorder } from "./permutation.ts"

/** Codes of a width that every kernel of this package takes, and a name. Arrays are borrowed. */
export interface GroupedLinear extends GroupedCodes {
  /** For messages: the tensor's name. */
  readonly name: string
  readonly bits: 4 | 8
}

/** Groups of a layer: ceil(K / groupSize). */
export const groupCount = ({ inFeatures, groupSize }: GroupedLinear): number => Math.ceil(inFeatures / groupSize)

/**
 * Checks shapes and group indices. Throws `PlanError`: `shape` for arrays of the wrong length, `groups` for an index
 * out of range or a group that has not its `groupSize` rows (the last: the rest). Reads no codes.
 */
export const checkLinear = (linear: GroupedLinear): void => {
  const { name, bits, inFeatures, outFeatures, groupSize, codes, scales, zeros, groupIndex } = linear
  const fail = (detail: string): never => {
    throw new PlanError({ reason: "shape", subject: name, detail })
  }
  if (bits !== 4 && bits !== 8) fail(`${bits} bits, only 4 and 8 have kernels`)
  for (const [what, value] of Object.entries({ inFeatures, outFeatures, groupSize })) {
    if (!Number.isSafeInteger(value) || value < 1) fail(`${what} is ${value}`)
  }
  if (groupSize > inFeatures) fail(`groups of ${groupSize} rows, of ${inFeatures}`)
  if ((inFeatures * bits) % 32 !== 0) fail(`${inFeatures} rows of ${bits} bits do not fill words of 32`)
  const groups = groupCount(linear)
  const lengths = { codes: codes.length, scales: scales.length, zeros: zeros?.length, groupIndex: groupIndex?.length }
  const wanted = {
    codes: ((inFeatures * bits) / 32) * outFeatures,
    scales: groups * outFeatures,
    zeros: groups * outFeatures,
    groupIndex: inFeatures
  }
  for (const key of ["codes", "scales", "zeros", "groupIndex"] as const) {
    const length = lengths[key]
    if (length !== undefined && length !== wanted[key]) fail(`${key} has ${length} values, not ${wanted[key]}`)
  }
  const wild = zeros?.find((zero) => zero >= 2 ** bits)
  if (wild !== undefined) fail(`a zero point is ${wild}, beyond ${bits} bits`)
  if (groupIndex === undefined) return
  const sizes = new Uint32Array(groups)
  for (const group of reorder(groupIndex, groups, name).groups) sizes[group]!++
  for (let group = 0; group < groups; group++) {
    const size = group < groups - 1 ? groupSize : inFeatures - groupSize * (groups - 1)
    if (sizes[group] !== size) {
      const detail = `group ${group} has ${sizes[group]} rows instead of ${size}`
      throw new PlanError({ reason: "groups", subject: name, detail })
    }
  }
}

/**
 * The order of the rows that makes groups contiguous: P of Algorithm 1, the identity where there is no `groupIndex`.
 * Throws `PlanError` (`groups`).
 */
export const orderOf = (linear: GroupedLinear): Permutation =>
  linear.groupIndex === undefined
    ? identity(linear.inFeatures)
    : reorder(linear.groupIndex, groupCount(linear), linear.name).order

/**
 * One code a byte, u8 (K, N) -> fresh words as {@link GroupedLinear.codes} has them.
 *
 * Throws `RangeError` if K rows do not fill whole words or the lengths differ; codes beyond `bits` lose their high bits.
 */
export const packCodes = (codes: Uint8Array, inFeatures: number, outFeatures: number, bits: 4 | 8): Uint32Array => {
  const perWord = 32 / bits
  if (codes.length !== inFeatures * outFeatures || inFeatures % perWord !== 0) {
    throw new RangeError(`Cannot pack ${codes.length} codes as (${inFeatures}, ${outFeatures}) of ${bits} bits`)
  }
  const words = new Uint32Array(codes.length / perWord)
  const mask = 2 ** bits - 1
  for (let k = 0; k < inFeatures; k++) {
    const shift = (k % perWord) * bits
    const target = Math.floor(k / perWord) * outFeatures
    for (let n = 0; n < outFeatures; n++) words[target + n]! |= (codes[k * outFeatures + n]! & mask) << shift
  }
  return words
}
