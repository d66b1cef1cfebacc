/**
 * Faults that cross the wire, and what each asks of the one who receives it.
 * @module
 */
import { MAX_DETAIL } from "./Limits.ts"

/**
 * - `elsewhere`: this peer cannot, another may: choose another peer.
 * - `later`: the same peer can after `retryAfter` seconds.
 * - `never`: a mismatch or a bug: do not retry.
 */
export type FaultKind = "elsewhere" | "later" | "never"

/** What went wrong, as a stable word for programs. */
export type FaultCode =
  | "protocol" // the frame breaks the protocol
  | "version" // no common version
  | "unauthorized" // who speaks is not who it claims to be, or has no invite for this
  | "unknown-session"
  | "expired" // the session was idle for too long
  | "unknown-model"
  | "wrong-blocks" // the peer does not serve these blocks
  | "bad-step" // shapes, counts, values (NaN) of a step
  | "gap" // a step starts beyond what the hop has; `position` says what it has
  | "too-long" // beyond maxTokens
  | "cache-full" // no KV memory now
  | "overloaded"
  | "draining"
  | "next-gone" // the next hop cannot be reached; `peer` names it
  | "deadline"
  | "engine" // the runtime failed

/** A refusal or failure, as a peer tells it. A value, not an exception: it is data until someone decides what to do. */
export interface Fault {
  readonly kind: FaultKind
  readonly code: FaultCode
  /** For people; at most {@link MAX_DETAIL} long, the rest is cut off. */
  readonly detail: string
  /** Seconds; with `later`. */
  readonly retryAfter?: number
  /** With `gap`: tokens that the hop has. */
  readonly position?: number
  /** With `next-gone`: the peer that is gone. */
  readonly peer?: string
}

/** What a fault of some codes says besides. */
export interface FaultExtra {
  readonly position?: number
  readonly peer?: string
}

const make = (kind: FaultKind, code: FaultCode, detail: string, extra: Partial<Fault> | undefined): Fault => ({
  ...extra,
  kind,
  code,
  detail: detail.length > MAX_DETAIL ? `${detail.slice(0, MAX_DETAIL - 1)}…` : detail
})

/** This peer cannot; another may. */
export const elsewhere = (code: FaultCode, detail: string, extra?: FaultExtra): Fault =>
  make("elsewhere", code, detail, extra)

/** This peer can after `retryAfter` seconds (> 0). */
export const later = (code: FaultCode, detail: string, retryAfter: number, extra?: FaultExtra): Fault =>
  make("later", code, detail, { ...extra, retryAfter })

/** A mismatch or a bug: trying again fails again. */
export const never = (code: FaultCode, detail: string, extra?: FaultExtra): Fault => make("never", code, detail, extra)
