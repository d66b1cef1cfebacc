/**
 * The directory that every server runs: it takes announcements over connections and answers who serves what.
 * @module
 */
import type { Announcement, Fault, Found, Frame, FrameOf, Messages } from "@swarm/protocol"
import { elsewhere, later, MAX_ANNOUNCEMENTS, MAX_BODY, MAX_RECORD, never } from "@swarm/protocol"
import type { Connection, Network } from "@swarm/transport"
import { hostOf, reachableAddresses } from "./addresses.ts"
import type { Heard } from "./Heard.ts"
import { AnnouncementTable } from "./internal/AnnouncementTable.ts"
import { vet } from "./internal/vet.ts"
import { noRefusals, type RefusalReason, type Refusals } from "./Refusals.ts"
import { signAnnouncement } from "./sign.ts"

/** @see Directory */
export interface DirectoryOptions {
  /** Seconds since 1970. @default {() => Date.now() / 1000} */
  readonly now?: () => number
  /** Peers that are remembered. @default {10000} */
  readonly maxEntries?: number
  /** Longer lifetimes are cut, in seconds. @default {600} */
  readonly maxTimeToLive?: number
  /** Requests of one connection in a second; more are put off. @default {20} */
  readonly maxRequestsPerSecond?: number
  /** Announcements in one answer; of more, a random choice. @default {MAX_ANNOUNCEMENTS} */
  readonly maxFound?: number
  /**
   * What this server knows from others (discovery's `heard`). It is passed on, but yields to what is newer here. @default {() => []}
   */
  readonly learned?: () => ReadonlyArray<Heard>
  /** Whom this server saw end: they are left out of answers (`makeWatch`). @default {() => false} */
  readonly isLost?: (heard: Heard) => boolean
}

/** Whose directory it is: what it needs of a network. */
export type Keeper = Pick<Network, "identity" | "membership">

/** Who says something: what the directory needs of a connection. */
export type Speaker = Pick<Connection, "peer" | "remote">

/** What happened since the start. */
export interface DirectoryCounts {
  /** Announcements taken. */
  accepted: number
  /** Announcements refused. */
  readonly refused: Refusals
  /** Requests put off because their connection makes too many. */
  putOff: number
  /** Questions answered. */
  found: number
}

/** Bytes of a found announcement beside its record, field names included. */
const FIXED_BYTES = 64

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
 * replaces the former. Announcements are signed, and passed on as they came.
 *
 * @example A server's receiver
 * ```ts
 * import { Directory } from "@swarm/discovery"
 * import type { Connection, Network } from "@swarm/transport"
 *
 * const directory = new Directory({ identity: makeIdentity(), membership: undefined })
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
  readonly #keeper: Keeper
  readonly #table: AnnouncementTable
  readonly #rates = new WeakMap<Connection, { readonly since: number; requests: number }>()
  #own: Announcement | undefined
  /** Counters, for people and tests. */
  readonly counts: DirectoryCounts = { accepted: 0, refused: noRefusals(), putOff: 0, found: 0 }

  /** @param keeper Signs what this server says of itself, and in a private swarm knows who may announce. */
  constructor(keeper: Keeper, options: DirectoryOptions = {}) {
    this.#keeper = keeper
    this.#options = {
      now: options.now ?? (() => Date.now() / 1000),
      maxEntries: options.maxEntries ?? 10_000,
      maxTimeToLive: options.maxTimeToLive ?? 600,
      maxRequestsPerSecond: options.maxRequestsPerSecond ?? 20,
      maxFound: Math.min(options.maxFound ?? MAX_ANNOUNCEMENTS, MAX_ANNOUNCEMENTS),
      learned: options.learned ?? (() => []),
      isLost: options.isLost ?? (() => false)
    }
    this.#table = new AnnouncementTable(this.#options.maxEntries, this.#options.maxTimeToLive)
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
      this.counts.putOff++
      return later("overloaded", `At most ${this.#options.maxRequestsPerSecond} requests to the directory a second`, 1)
    }
    return frame.kind === "announce"
      ? this.announce(frame.body.record, connection)
      : { announcements: this.find(frame.body.model) }
  }

  /** Counts the requests of a connection by the second. */
  #admit(connection: Connection): boolean {
    const now = this.#options.now()
    const rate = this.#rates.get(connection)
    if (rate === undefined || now - rate.since >= 1 || now < rate.since) {
      this.#rates.set(connection, { since: now, requests: 1 })
      return true
    }
    return ++rate.requests <= this.#options.maxRequestsPerSecond
  }

  /**
   * Takes what a peer says of itself, or returns why not: `never` for a record that nobody will take, `elsewhere` for one that comes too late,
   * `later` if the directory is full. Who speaks for another peer is refused, and who may not serve in this swarm. A time to live of 0 takes the
   * peer's entry back; a goodbye (`offline`) is passed on as long as it lives.
   */
  announce(record: Uint8Array, speaker: Speaker): Fault | undefined {
    const { maxTimeToLive } = this.#options
    const { membership } = this.#keeper
    const now = this.#options.now()
    const signed = vet(record, { now, membership, maxTimeToLive, table: this.#table })
    if (typeof signed === "string") return this.#refuse(signed)
    const { announcement, issuedAt } = signed
    if (announcement.peer !== speaker.peer) return this.#refuse("identity")
    if (issuedAt <= (this.#table.issuedAt(announcement.peer) ?? -1)) return this.#refuse("replayed")
    const seen = hostOf(speaker.remote)
    const addresses = reachableAddresses(announcement.addresses, seen)
    const refused = this.#table.put(signed, record, { saidAt: now, isDirect: true, addresses, seen }, now)
    if (refused !== undefined) return this.#refuse(refused)
    this.counts.accepted++
    return undefined
  }

  #refuse(reason: RefusalReason): Fault {
    this.counts.refused[reason]++
    if (reason === "full") {
      return later("overloaded", `The directory has ${this.#options.maxEntries} entries, its limit`, 10)
    }
    return FAULTS[reason]
  }

  /**
   * Announcements of a model ("" = all): the own one, those that peers made here, then what was learned elsewhere; of two from one peer the
   * newer. O(entries).
   */
  find(model: string): ReadonlyArray<Found> {
    this.counts.found++
    const { now, maxFound } = this.#options
    const own = this.#own
    const first =
      own !== undefined && isOf(model, own)
        ? [{ record: signAnnouncement(this.#keeper, own, now() * 1000).record, age: 0 }]
        : []
    const others = choose(
      this.heard(model).filter((heard) => !this.#options.isLost(heard)),
      maxFound - first.length
    )
    return withinBody([
      ...first,
      ...others.map(({ record, age, seen }) => ({ record, age, ...(seen === undefined ? {} : { seen }) }))
    ])
  }

  /** What {@link find} would tell of others, read, goodbyes left out. O(entries). */
  known(model: string): ReadonlyArray<Announcement> {
    return this.heard(model).flatMap((heard) =>
      heard.announcement.state === "offline" || this.#options.isLost(heard) ? [] : [heard.announcement]
    )
  }

  /** What is known of others, lost ones included. O(entries). */
  heard(model: string): Array<Heard> {
    const { now, learned } = this.#options
    const byPeer = new Map<string, Heard>()
    for (const heard of learned()) {
      const { peer } = heard.announcement
      if (heard.issuedAt > (this.#table.issuedAt(peer) ?? -1)) byPeer.set(peer, heard)
    }
    for (const heard of this.#table.live(now())) {
      const { peer } = heard.announcement
      if (!byPeer.has(peer)) byPeer.set(peer, heard)
    }
    byPeer.delete(this.#keeper.identity.peer)
    return [...byPeer.values()].filter(({ announcement }) => isOf(model, announcement))
  }

  /** Peers that are known and have not said goodbye. O(entries). */
  get size(): number {
    return this.#table.live(this.#options.now()).filter(({ announcement }) => announcement.state !== "offline").length
  }
}

const isOf = (model: string, announcement: Announcement): boolean => model === "" || announcement.model === model

const FAULTS: { readonly [R in Exclude<RefusalReason, "full">]: Fault } = {
  oversized: never("protocol", `An announcement has at most ${MAX_RECORD} bytes`),
  malformed: never("protocol", "The announcement cannot be read"),
  forged: never("unauthorized", "The announcement is not signed by the peer that it names"),
  future: elsewhere(
    "protocol",
    "The announcement was made in the future: the clock of the peer, or this one, is wrong"
  ),
  expired: elsewhere("protocol", "The announcement has expired: the clock of the peer, or this one, is wrong"),
  replayed: elsewhere("protocol", "The peer announced something newer before"),
  identity: never("unauthorized", "A peer cannot announce for another"),
  unauthorized: never("unauthorized", "This swarm is private, and the peer has no invite to serve")
}

/** As many from the front as a frame can carry. */
const withinBody = (found: ReadonlyArray<Found>): ReadonlyArray<Found> => {
  let bytes = 0
  const last = found.findIndex(({ record, seen }) => {
    bytes += FIXED_BYTES + record.length + 3 * (seen?.length ?? 0)
    return bytes > MAX_BODY
  })
  return last === -1 ? found : found.slice(0, last)
}
