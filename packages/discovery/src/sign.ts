/**
 * Signing what a peer says of itself.
 * @module
 */
import type { Identity } from "@swarm/identity"
import { type Announcement, encodeRecord } from "@swarm/protocol"
import type { Network } from "@swarm/transport"

/** An announcement and its bytes. */
export interface Signed {
  readonly announcement: Announcement
  readonly record: Uint8Array
}

/** When each identity signed last, in milliseconds. */
const lastIssued = new WeakMap<Identity, number>()

/**
 * Signs an announcement in the name of the network's peer. Each is later than the one before, also within a millisecond and when the clock goes
 * back: others would take it for an old one otherwise.
 *
 * @param now Milliseconds since 1970.
 * @throws RangeError if it is longer than `MAX_RECORD`
 */
export const signAnnouncement = (
  { identity, membership }: Pick<Network, "identity" | "membership">,
  announcement: Announcement,
  now: number = Date.now()
): Signed => {
  const issuedAt = Math.max(Math.floor(now), (lastIssued.get(identity) ?? -1) + 1)
  const record = encodeRecord(announcement, issuedAt, identity, membership?.credential)
  lastIssued.set(identity, issuedAt)
  return { announcement, record }
}
