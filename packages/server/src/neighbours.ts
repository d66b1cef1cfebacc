/**
 * How far it is to servers that may follow this one: what they announce, clients route by.
 * @module
 */
import type { Announcement, BlockRange, NextHop } from "@swarm/protocol"
import type { Connection } from "@swarm/transport"

export interface NeighbourOptions {
  readonly model: string
  readonly blocks: BlockRange
  /** Dials a server. Rejects if it cannot be reached, or another peer answers. */
  readonly connect: (address: string, peer: string) => Promise<Connection>
  /** Uniform in [0, 1). @default {Math.random} */
  readonly random?: () => number
}

export interface Neighbours {
  /**
   * Pings the followers that are kept, and some of `known` that are new. Never rejects: who does not answer is left out.
   * Takes a connection to each.
   */
  readonly measure: (known: ReadonlyArray<Announcement>) => Promise<void>
  /** Round trips to the nearest followers, nearest first. */
  readonly nextHops: () => ReadonlyArray<NextHop>
}

/** Followers that are kept: a client needs to know the near ones, and each costs a connection. */
const KEPT = 8
/** Once so many are kept, a new one is tried in one of so many measurements. */
const SELDOM = 6
const PING_SECONDS = 1

export const makeNeighbours = ({ model, blocks, connect, random = Math.random }: NeighbourOptions): Neighbours => {
  let nearest: ReadonlyArray<NextHop> = []
  let rounds = 0

  const measured = async ({ peer, addresses }: Announcement): Promise<ReadonlyArray<NextHop>> => {
    const [address] = addresses
    if (address === undefined) return []
    try {
      const connection = await connect(address, peer)
      const seconds = await connection.ping(PING_SECONDS)
      return [{ peer, roundTrip: connection.roundTrip() ?? seconds }]
    } catch {
      return []
    }
  }

  return {
    measure: async (known) => {
      const follows = (each: Announcement): boolean =>
        each.model === model && each.blocks.from === blocks.to && each.state === "online"
      const followers = [...new Map(known.filter(follows).map((each) => [each.peer, each])).values()]
      const kept = new Set(nearest.map(({ peer }) => peer))
      const old = followers.filter(({ peer }) => kept.has(peer))
      const fresh = followers.filter(({ peer }) => !kept.has(peer))
      const room = KEPT - old.length || (rounds++ % SELDOM === 0 ? 1 : 0)
      const tried = [...old]
      while (tried.length < old.length + room && fresh.length > 0) {
        tried.push(...fresh.splice(Math.floor(random() * fresh.length), 1))
      }
      const found = (await Promise.all(tried.map(measured))).flat()
      nearest = found.sort((a, b) => a.roundTrip - b.roundTrip).slice(0, KEPT)
    },
    nextHops: () => nearest
  }
}
