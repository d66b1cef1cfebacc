/**
 * What can go wrong for a client of the swarm.
 * @module
 */
import type { BlockRange, Fault } from "@swarm/protocol"
import * as Data from "effect/Data"

/** Servers that a message names. */
const MOST_NAMED = 3

/**
 * Nobody serves some blocks, and nobody came within the grace time. *Later*: the session keeps its place, and its next
 * step looks again.
 */
export class BlocksUnserved extends Data.TaggedError("BlocksUnserved")<{
  readonly model: string
  readonly missing: ReadonlyArray<BlockRange>
  /** Seconds that were waited. */
  readonly waited: number
  /** Servers left out, and why. */
  readonly banned: ReadonlyArray<{ readonly peer: string; readonly reason: string; readonly seconds: number }>
}> {
  override get message(): string {
    const ranges = this.missing.map(({ from, to }) => `${from}:${to}`).join(", ")
    const some = this.banned.slice(0, MOST_NAMED).map(({ peer, reason }) => `${peer.slice(0, 8)} (${reason})`)
    const more = this.banned.length - some.length
    const leftOut = more > 0 ? [...some, `and ${more} more`] : some
    return `No server for blocks ${ranges} of ${this.model} within ${this.waited.toFixed(1)} s${leftOut.length === 0 ? "" : `; left out: ${leftOut.join(", ")}`}`
  }
}

/** A server refused for good. *Never* with these options. */
export class SessionRefused extends Data.TaggedError("SessionRefused")<{
  readonly peer: string
  readonly fault: Fault
}> {
  override get message(): string {
    return `Server ${this.peer.slice(0, 8)} refuses: ${this.fault.detail} (${this.fault.code})`
  }
}

/** Repairs followed one another without a token in between. *Later*: the swarm is too unstable now. */
export class TooManyFailures extends Data.TaggedError("TooManyFailures")<{
  readonly attempts: number
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot keep the chain together after ${this.attempts} repairs: ${this.detail}`
  }
}

/** The prompt and what is to be generated are longer than the session or the model. *Never*: open a longer one, or say less. */
export class ContextExceeded extends Data.TaggedError("ContextExceeded")<{
  readonly tokens: number
  readonly limit: number
}> {
  override get message(): string {
    return `Cannot hold ${this.tokens} tokens: the limit is ${this.limit}`
  }
}

/** The session was closed, by the caller or with its scope. */
export class SessionClosed extends Data.TaggedError("SessionClosed")<Record<never, never>> {
  override get message(): string {
    return "The session is closed"
  }
}

/** The computation itself failed at the client, or gave no usable numbers. *Never*. */
export class ComputeFailed extends Data.TaggedError("ComputeFailed")<{
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot compute: ${this.detail}`
  }
}

export type ClientError =
  | BlocksUnserved
  | SessionRefused
  | TooManyFailures
  | ContextExceeded
  | SessionClosed
  | ComputeFailed
