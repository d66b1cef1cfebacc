/**
 * Announcements by peer, each until it expires.
 * @module
 */
import type { Announcement } from "@swarm/protocol"

/** `direct`: the peer itself said it; `hearsay`: somebody else. */
export type Source = "direct" | "hearsay"

interface Entry {
  readonly announcement: Announcement
  /** Seconds of the table's clock. */
  readonly expiresAt: number
  readonly source: Source
}

/** Seconds between two searches for expired entries in a full table. */
const SWEEP_SECONDS = 1

/** At most `capacity` entries, one a peer. `now` is in seconds of any clock that does not go back. */
export class AnnouncementTable {
  readonly #entries = new Map<string, Entry>()
  readonly #capacity: number
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /**
   * Takes what was said of a peer. What the peer says itself replaces everything; hearsay replaces only hearsay that expires no later, and what
   * has expired. Returns false if the table is full.
   */
  put(announcement: Announcement, expiresAt: number, source: Source, now: number): boolean {
    const { peer } = announcement
    const old = this.#entries.get(peer)
    if (old === undefined && this.#entries.size >= this.#capacity && !this.#sweep(now)) return false
    const keepsOld =
      old !== undefined &&
      old.expiresAt > now &&
      source === "hearsay" &&
      (old.source === "direct" || old.expiresAt > expiresAt)
    if (!keepsOld) this.#entries.set(peer, { announcement, expiresAt, source })
    return true
  }

  delete(peer: string): void {
    this.#entries.delete(peer)
  }

  /** Live announcements with the time to live that is left. O(entries); forgets expired ones. */
  live(now: number): Array<Announcement> {
    const live: Array<Announcement> = []
    for (const [peer, { announcement, expiresAt }] of this.#entries) {
      if (expiresAt <= now) this.#entries.delete(peer)
      else live.push({ ...announcement, timeToLive: expiresAt - now })
    }
    return live
  }

  /** Entries, expired ones included that nobody looked at. */
  get size(): number {
    return this.#entries.size
  }

  /** Forgets expired entries; at most once a second, so that a full table costs little to refuse. True if there is room. */
  #sweep(now: number): boolean {
    if (now - this.#sweptAt >= SWEEP_SECONDS) {
      this.#sweptAt = now
      for (const [peer, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#entries.delete(peer)
    }
    return this.#entries.size < this.#capacity
  }
}
