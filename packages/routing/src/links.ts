/**
 * Round trips between servers, from what they announce.
 * @module
 */

/** The part of an announcement that tells of measured links. */
export interface Neighbours {
  readonly peer: string
  /** Round trips that the peer measured to servers that may follow it, in seconds. */
  readonly nextHops?: ReadonlyArray<{ readonly peer: string; readonly roundTrip: number }>
}

/** Links taken from one announcement, at most. */
const MOST_LINKS = 64

/** @see makeLinkTable */
export interface LinkTable {
  /** Round trips in seconds: receiver, then sender. A view. */
  readonly servers: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** Takes in what is announced now; what is not announced any more is forgotten. */
  readonly look: (announcements: Iterable<Neighbours>) => void
}

/**
 * Makes an empty table. `changed` is called for each link that came, went or changed. O(announcements), and little for
 * those that are new: they are told apart by identity.
 */
export const makeLinkTable = (changed: (sender: string, receiver: string) => void = () => {}): LinkTable => {
  const servers = new Map<string, Map<string, number>>()
  /** The look that saw an announcement last. */
  const seen = new Map<Neighbours, number>()
  const byPeer = new Map<string, Set<Neighbours>>()
  /** Links by sender as they are in `servers`. */
  const links = new Map<string, ReadonlyMap<string, number>>()
  let looks = 0

  const set = (sender: string, receiver: string, roundTrip: number | undefined): void => {
    const senders = servers.get(receiver) ?? new Map<string, number>()
    if (senders.get(sender) === roundTrip) return
    if (roundTrip === undefined) senders.delete(sender)
    else senders.set(sender, roundTrip)
    if (senders.size === 0) servers.delete(receiver)
    else servers.set(receiver, senders)
    changed(sender, receiver)
  }

  const update = (sender: string): void => {
    const said = byPeer.get(sender)
    const now = new Map([...(said ?? [])].flatMap((announcement) => [...linksOf(announcement)]))
    for (const receiver of links.get(sender)?.keys() ?? []) if (!now.has(receiver)) set(sender, receiver, undefined)
    for (const [receiver, roundTrip] of now) set(sender, receiver, roundTrip)
    if (now.size === 0) links.delete(sender)
    else links.set(sender, now)
    if (said?.size === 0) byPeer.delete(sender)
  }

  return {
    servers,
    look: (announcements) => {
      const look = ++looks
      const touched = new Set<string>()
      for (const announcement of announcements) {
        if (announcement.nextHops === undefined) continue
        if (!seen.has(announcement)) {
          touched.add(announcement.peer)
          byPeer.set(announcement.peer, (byPeer.get(announcement.peer) ?? new Set()).add(announcement))
        }
        seen.set(announcement, look)
      }
      for (const [announcement, at] of seen) {
        if (at === look) continue
        seen.delete(announcement)
        touched.add(announcement.peer)
        byPeer.get(announcement.peer)?.delete(announcement)
      }
      for (const sender of touched) update(sender)
    }
  }
}

/** Usable links of one announcement, by receiver. */
const linksOf = ({ peer, nextHops = [] }: Neighbours): ReadonlyMap<string, number> =>
  new Map(
    nextHops
      .slice(0, MOST_LINKS)
      .flatMap((next) => (next.roundTrip >= 0 && next.peer !== peer ? [[next.peer, next.roundTrip] as const] : []))
  )
