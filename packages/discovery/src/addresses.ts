/**
 * Addresses as they are seen from elsewhere.
 * @module
 */

/** `ws://host:port/…` or `host:port`; an IPv6 host in brackets. */
const ADDRESS = /^([a-z][a-z0-9+.-]*:\/\/)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)((?::\d+)?(?:\/.*)?)$/i

/** `/ip4/host/…` or `/ip6/host/…`. */
const MULTIADDR = /^\/ip([46])\/([^/]+)(\/.*)?$/

/** The host of an address, IPv6 in brackets; undefined where the address has no host (memory, `/dns/…`). */
export const hostOf = (address: string): string | undefined => {
  const [, family, multi] = MULTIADDR.exec(address) ?? []
  if (multi !== undefined) return family === "6" ? `[${multi.toLowerCase()}]` : multi
  const host = ADDRESS.exec(address)?.[2]?.toLowerCase()
  const mapped = host === undefined ? null : /^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]$/.exec(host)
  return mapped?.[1] ?? host
}

/** The address with another host, IPv6 in brackets. */
export const withHost = (address: string, host: string): string => {
  const rest = MULTIADDR.exec(address)?.[3]
  if (rest === undefined) return address.replace(ADDRESS, `$1${host}$3`)
  if (host.startsWith("[")) return `/ip6/${host.slice(1, -1)}${rest}`
  return `${/^\d+(\.\d+){3}$/.test(host) ? "/ip4" : "/dns"}/${host}${rest}`
}

/** True for hosts that mean the machine itself: 127.0.0.0/8, ::1, localhost. */
export const isLoopbackHost = (host: string): boolean => /^(127\.|localhost$|\[::1\]$)/.test(host)

/** True for hosts that can be listened on but not dialled: 0.0.0.0 and ::. */
export const isUnspecifiedHost = (host: string): boolean => host === "0.0.0.0" || host === "[::]"

/**
 * An address that a peer gave of itself, as it can be dialled from here: where it names every interface or loopback, the host at which that peer,
 * or one on the same machine, was seen takes its place. Undefined if nothing usable is left.
 *
 * @param seenHost Host at which it was seen; undefined if it is not known.
 *
 * @example A server that listens on every interface
 * ```ts
 * import { reachableAddress } from "@swarm/discovery"
 *
 * console.log(reachableAddress("ws://0.0.0.0:4000", "10.0.0.7")) // => ws://10.0.0.7:4000
 * console.log(reachableAddress("ws://swarm.example:4000", "10.0.0.7")) // => ws://swarm.example:4000
 * console.log(reachableAddress("ws://0.0.0.0:4000", undefined)) // => undefined
 * ```
 */
export const reachableAddress = (address: string, seenHost: string | undefined): string | undefined => {
  const host = hostOf(address)
  if (host === undefined) return address
  const seen = seenHost !== undefined && isUnspecifiedHost(seenHost) ? "127.0.0.1" : seenHost
  const elsewhere = seen !== undefined && !isLoopbackHost(seen)
  if (!isUnspecifiedHost(host) && !(isLoopbackHost(host) && elsewhere)) return address
  return seen === undefined ? undefined : withHost(address, seen)
}

/** Those of `addresses` that can be dialled from here, each once, in order. */
export const reachableAddresses = (
  addresses: ReadonlyArray<string>,
  seenHost: string | undefined
): ReadonlyArray<string> => [...new Set(addresses.flatMap((address) => reachableAddress(address, seenHost) ?? []))]
