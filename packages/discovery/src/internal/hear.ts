/**
 * What a peer says about others, checked and put where it belongs.
 * @module
 */
import type { Found } from "@swarm/protocol"
import type { Network } from "@swarm/transport"
import { hostOf, isLoopbackHost, isUnspecifiedHost, reachableAddresses } from "../addresses.ts"
import type { Refusals } from "../Refusals.ts"
import type { AnnouncementTable } from "./AnnouncementTable.ts"
import { vet } from "./vet.ts"

/** @see makeHear */
export interface HearOptions {
  readonly network: Pick<Network, "self" | "membership">
  readonly table: AnnouncementTable
  readonly refused: Refusals
  /** Model whose servers are wanted; "" for all. */
  readonly model: string
  readonly maxTimeToLive: number
  /** Seconds since 1970. */
  readonly now: () => number
}

/** Who says something, and when it was asked. */
export interface Source {
  /** Its id; undefined: it is known neither who holds the record nor where. */
  readonly peer?: string
  /** The address at which it was dialled: good for that very peer, whatever it believes of itself. */
  readonly address?: string
  /** Seconds since 1970. Lives count from here, so that passing on never makes one longer. */
  readonly askedAt: number
}

/**
 * Makes the ear of a discovery: takes a found announcement, or counts why not. True: the source spoke of itself.
 *
 * Addresses that name loopback or every interface are taken to be on the host at which the peer was seen, and if it was seen on the machine of
 * who tells it, on that one's host.
 */
export const makeHear =
  ({ network, table, refused, model, maxTimeToLive, now }: HearOptions) =>
  (found: Found, source: Source): boolean => {
    const signed = vet(found.record, { now: now(), membership: network.membership, maxTimeToLive, table })
    if (typeof signed === "string") {
      refused[signed]++
      return false
    }
    const { announcement } = signed
    if (announcement.peer === network.self || (model !== "" && announcement.model !== model)) return false
    const isDirect = announcement.peer === source.peer
    const host = source.address === undefined ? undefined : hostOf(source.address)
    const told = isDirect ? announcement.addresses : reachableAddresses(announcement.addresses, found.seen)
    const reachable = reachableAddresses(told, host)
    const dialled = isDirect && source.address !== undefined ? [source.address] : []
    const addresses = [...dialled, ...reachable.filter((address) => !dialled.includes(address))]
    if (addresses.length === 0) return isDirect
    const isNear = found.seen === undefined || isLoopbackHost(found.seen) || isUnspecifiedHost(found.seen)
    const seen = isDirect || (isNear && found.seen !== undefined) ? host : found.seen
    const saidAt = source.askedAt - found.age
    const refusal = table.put(signed, found.record, { saidAt, isDirect, addresses, seen }, now())
    if (refusal !== undefined) refused[refusal]++
    return isDirect
  }
