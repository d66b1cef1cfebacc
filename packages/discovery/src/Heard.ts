/**
 * An announcement as it was heard, with what is needed to pass it on.
 * @module
 */
import type { Announcement, Found } from "@swarm/protocol"

/** What a directory would say of a peer, and what it means. */
export interface Heard extends Found {
  /** With addresses as they can be dialled from here, and the time to live that is left. */
  readonly announcement: Announcement
  /** When the peer made it, in milliseconds since 1970 by its clock. */
  readonly issuedAt: number
}
