/**
 * The directory that every server runs: it takes announcements over connections and answers who serves what.
 * @module
 */
import type { Announcement, Fault, Frame, FrameOf, Messages } from "@swarm/protocol"
import { later, MAX_ANNOUNCEMENTS, MAX_BODY, never } from "@swarm/protocol"
import type { Connection } from "@swarm/transport"
import { hostOf, reachableAddresses } from "./addresses.ts"
import { AnnouncementTable } from "./internal/AnnouncementTable.ts"

/** @see Directory */
export interface DirectoryOptions {
  /** Seconds of a clock that does not go back. @default {performance.now() / 1000} */
  readonly now?: () => number
  /** Peers that are remembered. @default {10000} */
  readonly maxEntries?: number
  /** Longer lifetimes are cut, in seconds. @default {600} */
  readonly maxTimeToLive?: number
  /** More addresses of one peer are cut. @default {8} */
  readonly maxAddresses?: number
  /** Requests of one connection in a second; more are put off. @default {20} */
  readonly maxRequestsPerSecond?: number
  /** Announcements in one answer; of more, a random choice. @default {MAX_ANNOUNCEMENTS} */
  readonly maxFound?: number
  /**
   * What this server knows from others, with the time to live that is left (discovery's `known`). It is passed on, but yields to what a peer
   * says here itself. @default {() => []}
   */
  readonly learned?: () => ReadonlyArray<Announcement>
}

/** Who says something: what the directory needs of a connection. */
export type Speaker = Pick<Connection, "peer" | "remote">

/** What happened since the start. */
export interface DirectoryCounts {
  /** Announcements taken. */
  accepted: number
  /** Refused because they spoke for another peer. */
  refusedIdentity: number
  /** Refused because their texts are too long. */
  refusedSize: number
  /** Refused because the directory was full. */
  refusedFull: number
  /** Requests put off because their connection makes too many. */
  refusedRate: number
  /** Questions answered. */
  found: number
}

/** UTF-16 units in all texts of an announcement: ids, names and eight addresses are far shorter. */
const MAX_TEXT = 4096

/** Bytes of an announcement beside its texts, field names included. */
const FIXED_BYTES = 320

const textLength = ({ peer, model, modelName, digest, version, addresses }: Announcement): number =>
  addresses.reduce((sum, address) => sum + address.length, 0) +
  peer.length +
  model.length +
  modelName.length +
  digest.length +
  version.length

/** Moves a random choice of `count` items to the front (Fisher and Yates, cut short) and returns them. */
const choose = <A>(items: Array<A>, count: number): Array<A> => {
  for (let i = 0; i < Math.min(count, items.length); i++) {
    const j = i + Math.floor(Math.random() * (items.length - i))
    const [a, b] = [items[i], items[j]]
    if (a !== undefined && b !== undefined) [items[i], items[j]] = [b, a]
  }
  return items.slice(0, count)
}

/**
 * Announcements of the peers that are connected or were lately, each until its time to live is over. One entry a peer: a new one
 * replaces the former. Who announces over a connection can speak only for the peer that said hello on it.
 *
 * @example A server's receiver
 * ```ts
 * import { Directory } from "@swarm/discovery"
 * import type { Connection } from "@swarm/transport"
 *
 * const directory = new Directory()
 * const onConnection = (connection: Connection) =>
 *   connection.receive((frame) => {
 *     if (directory.handle(frame, connection)) return
 *     // sessions
 *   })
 * console.log(directory.find(""), typeof onConnection) // => [] function
 * ```
 */
export class Directory {
  readonly #options: Required<DirectoryOptions>
  readonly #table: AnnouncementTable
  readonly #rates = new WeakMap<Connection, { readonly since: number; requests: number }>()
  #own: Announcement | undefined
  /** Counters, for people and tests. */
  readonly counts: DirectoryCounts = {
    accepted: 0,
    refusedIdentity: 0,
    refusedSize: 0,
    refusedFull: 0,
    refusedRate: 0,
    found: 0
  }

  constructor(options: DirectoryOptions = {}) {
    this.#options = {
      now: options.now ?? (() => performance.now() / 1000),
      maxEntries: options.maxEntries ?? 10_000,
      maxTimeToLive: options.maxTimeToLive ?? 600,
      maxAddresses: options.maxAddresses ?? 8,
      maxRequestsPerSecond: options.maxRequestsPerSecond ?? 20,
      maxFound: Math.min(options.maxFound ?? MAX_ANNOUNCEMENTS, MAX_ANNOUNCEMENTS),
      learned: options.learned ?? (() => [])
    }
    this.#table = new AnnouncementTable(this.#options.maxEntries)
  }

  /** Sets what the server says of itself: it is in every answer, first, and does not expire. Undefined: it serves nothing. */
  setOwn(announcement: Announcement | undefined): void {
    this.#own = announcement
  }

  /** Answers a frame of kind `announce` or `find`. Returns false, and does nothing, for every other kind. */
  handle(frame: Frame, connection: Connection): boolean {
    if (frame.kind !== "announce" && frame.kind !== "find") return false
    const answer = this.#answer(frame, connection)
    if (frame.request === 0) return true
    if (answer === undefined) connection.reply(frame.request, "ok", {})
    else if ("announcements" in answer) connection.reply(frame.request, "found", answer)
    else connection.reply(frame.request, "fault", answer)
    return true
  }

  #answer(frame: FrameOf<"announce"> | FrameOf<"find">, connection: Connection): Messages["found"] | Fault | undefined {
    if (!this.#admit(connection)) {
      this.counts.refusedRate++
      return later("overloaded", `At most ${this.#options.maxRequestsPerSecond} requests to the directory a second`, 1)
    }
    return frame.kind === "announce"
      ? this.announce(frame.body, connection)
      : { announcements: this.find(frame.body.model) }
  }

  /** Counts the requests of a connection by the second. */
  #admit(connection: Connection): boolean {
    const now = this.#options.now()
    const rate = this.#rates.get(connection)
    if (rate === undefined || now - rate.since >= 1) {
      this.#rates.set(connection, { since: now, requests: 1 })
      return true
    }
    return ++rate.requests <= this.#options.maxRequestsPerSecond
  }

  /**
   * Takes an announcement, or returns why not: `never` for one that speaks for another peer or is too long, `later` if the directory is full.
   * A time to live of 0 takes the peer's entry back. Addresses that name every interface or loopback get the host at which the speaker is seen.
   */
  announce(announcement: Announcement, speaker: Speaker): Fault | undefined {
    const { peer } = announcement
    if (peer !== speaker.peer) {
      this.counts.refusedIdentity++
      return never("protocol", `Peer "${speaker.peer}" cannot announce for peer "${peer}"`)
    }
    if (textLength(announcement) > MAX_TEXT) {
      this.counts.refusedSize++
      return never("protocol", `An announcement has at most ${MAX_TEXT} characters in its texts`)
    }
    if (!(announcement.timeToLive > 0)) {
      this.#table.delete(peer)
      return undefined
    }
    const { now, maxTimeToLive, maxAddresses } = this.#options
    const addresses = reachableAddresses(announcement.addresses, hostOf(speaker.remote)).slice(0, maxAddresses)
    const expiresAt = now() + Math.min(announcement.timeToLive, maxTimeToLive)
    if (!this.#table.put({ ...announcement, addresses }, expiresAt, "direct", now())) {
      this.counts.refusedFull++
      return later("overloaded", `The directory has ${this.#options.maxEntries} entries, its limit`, 10)
    }
    this.counts.accepted++
    return undefined
  }

  /**
   * Announcements of a model ("" = all): the own one, those that peers made here, then what was learned elsewhere, each with the
   * time to live that is left. O(entries).
   */
  find(model: string): ReadonlyArray<Announcement> {
    this.counts.found++
    const { now, learned, maxFound } = this.#options
    const byPeer = new Map<string, Announcement>()
    for (const announcement of learned()) byPeer.set(announcement.peer, announcement)
    for (const announcement of this.#table.live(now())) byPeer.set(announcement.peer, announcement)
    if (this.#own !== undefined) byPeer.delete(this.#own.peer)
    const others = [...byPeer.values()]
    const matching = model === "" ? others : others.filter((announcement) => announcement.model === model)
    const ownMatches = this.#own !== undefined && (model === "" || this.#own.model === model)
    const first = ownMatches && this.#own !== undefined ? [this.#own] : []
    return withinBody([...first, ...choose(matching, maxFound - first.length)])
  }

  /** Peers that are remembered. */
  get size(): number {
    return this.#table.size
  }
}

/** As many from the front as a frame can carry, at three bytes a character. */
const withinBody = (announcements: ReadonlyArray<Announcement>): ReadonlyArray<Announcement> => {
  let bytes = 0
  const last = announcements.findIndex((announcement) => {
    bytes += FIXED_BYTES + 3 * textLength(announcement) + 8 * announcement.addresses.length
    return bytes > MAX_BODY
  })
  return last === -1 ? announcements : announcements.slice(0, last)
}
