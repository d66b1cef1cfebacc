/**
 * Where this machine can be dialled.
 * @module
 */
import * as os from "node:os"
import { hostOf, isUnspecifiedHost, withHost } from "./addresses.ts"

/** Interfaces between this machine and its own containers and virtual machines: others cannot reach them. */
const VIRTUAL = /^(docker|br-|veth|virbr|cni|flannel|cali|lxc|lxd|podman|vmnet|vboxnet|vEthernet)/i

/**
 * The addresses at which others can dial what listens at `listened`. One that names every interface becomes one address an interface:
 * those of the network first, then those of bridges to containers, without loopback and link-local ones; `ws://0.0.0.0` means those
 * of IPv4, `ws://[::]` all. Any other address is returned as it is, and so is that of a machine without a network, as loopback.
 *
 * @param interfaces As `os.networkInterfaces` gives them. @default those of this machine
 *
 * @example
 * ```ts
 * import { ownAddresses } from "@swarm/discovery"
 *
 * console.log(ownAddresses("ws://swarm.example:7000")) // => [ 'ws://swarm.example:7000' ]
 * ```
 */
export const ownAddresses = (
  listened: string,
  interfaces: ReturnType<typeof os.networkInterfaces> = os.networkInterfaces()
): ReadonlyArray<string> => {
  const host = hostOf(listened)
  if (host === undefined || !isUnspecifiedHost(host)) return [listened]
  const found = Object.entries(interfaces).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ internal, family }) => !internal && (family === "IPv4" || host === "[::]"))
      .filter(({ address }) => !/^(fe80:|169\.254\.)/i.test(address))
      .map(({ address, family }) => ({ host: family === "IPv6" ? `[${address}]` : address, last: VIRTUAL.test(name) }))
  )
  const hosts = [...found.filter(({ last }) => !last), ...found.filter(({ last }) => last)]
  return hosts.length === 0 ? [withHost(listened, "127.0.0.1")] : hosts.map((entry) => withHost(listened, entry.host))
}
