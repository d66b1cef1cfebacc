/**
 * Announcements by peer, each until it expires.
 * @module
 */
import { CLOCK_SKEW_SECONDS } from "@swarm/identity"
import type { Announcement, SignedAnnouncement } from "@swarm/protocol"
import type { Heard } from "../Heard.ts"

/** How an announcement came here. */
export interface Hearing {
  /** When the peer said it, in seconds of the table's clock. */
  readonly saidAt: number
  /** Whether the peer itself said it here. */
  readonly isDirect: boolean
  /** Addresses as they can be dialled from here. */
  readonly addresses: ReadonlyArray<string>
  readonly seen: string | undefined
}

interface Entry extends Hearing {
  readonly announcement: Announcement
  readonly record: Uint8Array
  readonly issuedAt: number
  expiresAt: number
  /** Until then an older record of the peer may still be brought by somebody, and must be known for old. */
  readonly forgetAt: number
}

/** Seconds between two searches for expired entries in a full table. */
const SWEEP_SECONDS = 1

/** At most `capacity` entries, one a peer. `now` is in seconds since 1970. */
export class AnnouncementTable {
  readonly #entries = new Map<string, Entry>()
  readonly #capacity: number
  readonly #maxTimeToLive: number
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(capacity: number, maxTimeToLive: number) {
    this.#capacity = capacity
    this.#maxTimeToLive = maxTimeToLive
  }

  /** Whether these very bytes of a peer are known: then they have been checked. */
  holds(peer: string, record: Uint8Array): boolean {
    const entry = this.#entries.get(peer)
    return entry !== undefined && Buffer.compare(entry.record, record) === 0
  }

  /**
   * Takes what a peer said (record: copied). Newer replaces older; the same, heard from the peer itself, replaces hearsay.
   * Undefined: it was taken, or was known.
   */
  put(signed: SignedAnnouncement, record: Uint8Array, hearing: Hearing, now: number): "replayed" | "full" | undefined {
    const { announcement, issuedAt } = signed
    const old = this.#entries.get(announcement.peer)
    if (old === undefined && this.#entries.size >= this.#capacity && !this.#sweep(now)) return "full"
    if (old !== undefined && issuedAt < old.issuedAt) return "replayed"
    if (old !== undefined && issuedAt === old.issuedAt) {
      if (hearing.isDirect && !old.isDirect) {
        this.#entries.set(announcement.peer, { ...old, ...hearing, saidAt: old.saidAt })
      }
      return undefined
    }
    const life = Math.min(announcement.timeToLive, this.#maxTimeToLive)
    this.#entries.set(announcement.peer, {
      ...hearing,
      announcement,
      record: record.slice(),
      issuedAt,
      expiresAt: hearing.saidAt + life,
      forgetAt: issuedAt / 1000 + life + CLOCK_SKEW_SECONDS
    })
    return undefined
  }

  /** When the peer made what is known of it, in milliseconds since 1970; also if that has expired. */
  issuedAt(peer: string): number | undefined {
    return this.#entries.get(peer)?.issuedAt
  }

  /** Ends the life of what a peer said. */
  expire(peer: string, now: number): void {
    const entry = this.#entries.get(peer)
    if (entry !== undefined) entry.expiresAt = Math.min(entry.expiresAt, now)
  }

  /** What lives, with the time to live that is left. O(entries); forgets what nobody can bring again. */
  live(now: number): Array<Heard> {
    const live: Array<Heard> = []
    for (const [peer, entry] of this.#entries) {
      const { announcement, record, issuedAt, addresses, saidAt, seen, expiresAt, forgetAt } = entry
      if (expiresAt > now) {
        live.push({
          announcement: { ...announcement, addresses, timeToLive: expiresAt - now },
          record,
          issuedAt,
          age: Math.max(0, now - saidAt),
          ...(seen === undefined ? {} : { seen })
        })
      } else if (forgetAt < now) this.#entries.delete(peer)
    }
    return live
  }

  /** Forgets what has expired; at most once a second, so that a full table costs little to refuse. True if there is room. */
  #sweep(now: number): boolean {
    if (now - this.#sweptAt >= SWEEP_SECONDS) {
      this.#sweptAt = now
      for (const [peer, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#entries.delete(peer)
    }
    return this.#entries.size < this.#capacity
  }
}
