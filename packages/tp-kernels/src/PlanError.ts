/**
 * The error for layers that cannot be cut as asked.
 * @module
 */

/**
 * What stands in the way.
 *
 * | reason | |
 * | --- | --- |
 * | `permutation` | not a permutation of 0 .. n-1, or of the wrong length |
 * | `shape` | arrays or layers do not fit each other |
 * | `groups` | group indices that no quantizer writes: out of range, or groups of the wrong size |
 * | `ranks` | features or heads do not divide among the ranks |
 * | `straddle` | a group reaches over a shard's edge, or no kernel block fits into it |
 * | `commute` | the second layer's order cannot be moved through what lies between the layers |
 */
export type PlanErrorReason = "permutation" | "shape" | "groups" | "ranks" | "straddle" | "commute"

/** What a {@link PlanError} says. */
export interface PlanErrorFields {
  readonly reason: PlanErrorReason
  /** The layer, tensor or option concerned. */
  readonly subject: string
  /** What is wrong, with the values that show it. */
  readonly detail: string
}

/**
 * A plan or a shard is impossible for these layers. *Never*: the weights, the number of ranks or the algorithm must
 * change. It is thrown before any shard is allocated.
 */
export class PlanError extends Error {
  readonly _tag = "PlanError"
  readonly reason: PlanErrorReason
  readonly subject: string
  readonly detail: string

  constructor(fields: PlanErrorFields) {
    super(`Cannot plan "${fields.subject}": ${fields.detail}`)
    this.name = "PlanError"
    this.reason = fields.reason
    this.subject = fields.subject
    this.detail = fields.detail
  }
}
