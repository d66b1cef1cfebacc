/**
 * Which received announcements are believed.
 * @module
 */
import { CLOCK_SKEW_SECONDS, type Membership } from "@swarm/identity"
import { decodeRecord, RecordError, type SignedAnnouncement } from "@swarm/protocol"
import type { RefusalReason } from "../Refusals.ts"
import type { AnnouncementTable } from "./AnnouncementTable.ts"

/** @see vet */
export interface Vetting {
  /** Seconds since 1970. */
  readonly now: number
  readonly membership: Membership | undefined
  /** Longer lifetimes are cut, in seconds. */
  readonly maxTimeToLive: number
  /** What is known already: its signatures need no second check. */
  readonly table: AnnouncementTable
}

/**
 * The announcement in a record, or why it is not believed. Clocks may differ by five minutes: what was said in a future farther than that, or
 * whose life was over longer ago, is refused.
 */
export const vet = (
  record: Uint8Array,
  { now, membership, maxTimeToLive, table }: Vetting
): SignedAnnouncement | RefusalReason => {
  let signed: SignedAnnouncement
  try {
    signed = decodeRecord(record, (peer) => table.holds(peer, record))
  } catch (error) {
    if (error instanceof RecordError) return error.reason
    throw error
  }
  const saidAt = signed.issuedAt / 1000
  if (saidAt > now + CLOCK_SKEW_SECONDS) return "future"
  if (saidAt + Math.min(signed.announcement.timeToLive, maxTimeToLive) + CLOCK_SKEW_SECONDS < now) return "expired"
  const refusal = membership?.refusal(signed.announcement.peer, signed.credential, "serve")
  return refusal === undefined ? signed : "unauthorized"
}
