/**
 * Algorithm 1 of TP-aware dequantization: the order of input features that makes the groups of act-order weights
 * contiguous again.
 * @see https://arxiv.org/abs/2402.04925
 * @module
 */

/** Features sorted by group. */
export interface GroupOrder {
  /** The features in order of their groups, each group in its original order. */
  readonly order: Uint32Array
  /** The groups of the features in that order: never falling. */
  readonly groups: Uint32Array
}

/**
 * P = stable argsort(groupIndex). Rows W[P, :] have contiguous groups, and X[:, P] · W[P, :] = X · W.
 *
 * Throws `RangeError` if an index is not in 0 .. groupCount-1. O(features + groups).
 */
export const groupOrder = (groupIndex: ArrayLike<number>, groupCount: number): GroupOrder => {
  const starts = new Uint32Array(groupCount + 1)
  for (let i = 0; i < groupIndex.length; i++) {
    const group = groupIndex[i]!
    if (!Number.isInteger(group) || group < 0 || group >= groupCount) {
      throw new RangeError(`row ${i} is of group ${group}, of ${groupCount}`)
    }
    starts[group + 1]!++
  }
  for (let group = 0; group < groupCount; group++) starts[group + 1]! += starts[group]!
  const order = new Uint32Array(groupIndex.length)
  const groups = new Uint32Array(groupIndex.length)
  for (let i = 0; i < groupIndex.length; i++) {
    const group = groupIndex[i]!
    const at = starts[group]!++
    order[at] = i
    groups[at] = group
  }
  return { order, groups }
}
