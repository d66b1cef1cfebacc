/**
 * Announcements that were refused, counted by reason.
 * @module
 */
import type { RecordReason } from "@swarm/protocol"

/**
 * - `oversized`, `malformed`, `forged`: see `RecordReason`
 * - `future`, `expired`: said in five minutes or later, or over for longer than that
 * - `replayed`: the peer said something newer before
 * - `identity`: who brought it is another peer
 * - `unauthorized`: the peer has no invite to serve in this swarm
 * - `full`: there is no room for another peer
 */
export type RefusalReason = RecordReason | "future" | "expired" | "replayed" | "identity" | "unauthorized" | "full"

/** Counts since the start. */
export type Refusals = { [R in RefusalReason]: number }

/** Zero of everything. */
export const noRefusals = (): Refusals => ({
  oversized: 0,
  malformed: 0,
  forged: 0,
  future: 0,
  expired: 0,
  replayed: 0,
  identity: 0,
  unauthorized: 0,
  full: 0
})

/** Counts of two, by reason. */
export const addRefusals = (a: Refusals, b: Refusals): Refusals => {
  const total = { ...a }
  for (const reason of Object.keys(total) as Array<RefusalReason>) total[reason] += b[reason]
  return total
}
