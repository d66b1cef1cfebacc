/**
 * What can go wrong between a model's plan and a running span.
 * @module
 */
import * as Data from "effect/Data"

/** The packed weights cannot be written or read. *Never* on this disk: free space or choose another cache folder. */
export class WeightCacheError extends Data.TaggedError("WeightCacheError")<{
  readonly folder: string
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot use the weight cache "${this.folder}": ${this.detail}; SWARM_CACHE can name another folder`
  }
}

/** The span computes nonsense: a probe gave values that are not finite. *Never*: wrong weights or a broken machine. */
export class ProbeFailed extends Data.TaggedError("ProbeFailed")<{
  readonly from: number
  readonly to: number
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot serve blocks ${this.from}:${this.to}: ${this.detail}`
  }
}

/** A checkpoint cannot be quantized, or not into this folder. *Never*: the detail says what to do. */
export class QuantizeError extends Data.TaggedError("QuantizeError")<{
  readonly folder: string
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot quantize into "${this.folder}": ${this.detail}`
  }
}

/**
 * The ranks of a span cannot work together: one cannot be reached, refuses its part, or is lost. *Elsewhere*: the span
 * serves nothing until a new group is made.
 */
export class GroupFailed extends Data.TaggedError("GroupFailed")<{
  /** The rank, and its address where it has one. */
  readonly rank: number
  readonly address?: string
  /** What it did, to follow its name. */
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Rank ${this.rank}${this.address === undefined ? "" : ` at ${this.address}`} ${this.detail}`
  }
}

export type ComputeError = WeightCacheError | ProbeFailed | GroupFailed
