/**
 * A libp2p node as this package configures it.
 * @module
 */
import "./promises.ts"
import { autoNAT } from "@libp2p/autonat"
import { circuitRelayServer, circuitRelayTransport } from "@libp2p/circuit-relay-v2"
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys"
import { dcutr } from "@libp2p/dcutr"
import { identify } from "@libp2p/identify"
import type { TransportManager } from "@libp2p/interface-internal"
import { kadDHT, passthroughMapper } from "@libp2p/kad-dht"
import { mdns } from "@libp2p/mdns"
import { noise } from "@libp2p/noise"
import { ping } from "@libp2p/ping"
import { tcp } from "@libp2p/tcp"
import { yamux } from "@libp2p/yamux"
import type { Multiaddr } from "@multiformats/multiaddr"
import type { Identity } from "@swarm/identity"
import { MAX_CHANNELS } from "@swarm/transport"
import { createLibp2p } from "libp2p"
import { BoundedDatastore } from "./BoundedDatastore.ts"
import { noCounts, rules } from "./records.ts"

/** @see startNode */
export interface NodeOptions {
  readonly identity: Identity
  /** Whether others may reach each other through this peer. */
  readonly isRelay: boolean
  /** Whether peers of the same LAN find each other by multicast. */
  readonly isOnLan: boolean
}

/** What nodes of the LAN ask each other for (RFC 6763): Swarm's only. */
const LAN_SERVICE = "_swarm._udp.local"
const LAN_SECONDS = 5

/** Peers of the LAN that are dialled as they are found; the hash table knows the others. */
const MAX_LAN_PEERS = 32

/** The protocol of Swarm's channels on a libp2p connection. */
export const PROTOCOL = "/swarm/2"

/** Windows of a stream: an activation of 512 tokens should not wait for the other end half-way. */
const INITIAL_WINDOW = 1024 * 1024
const GREATEST_WINDOW = 16 * 1024 * 1024

/** Peers that one relay takes on. */
const MAX_RESERVATIONS = 256

/** Starts a node that listens nowhere yet. */
export const startNode = async ({ identity, isRelay, isOnLan }: NodeOptions) => {
  const refused = noCounts()
  const services = {
    identify: identify(),
    ping: ping(),
    dcutr: dcutr(),
    autoNAT: autoNAT(),
    // private addresses too: a LAN is a swarm as well
    dht: kadDHT({ protocol: "/swarm/kad/1", clientMode: false, peerInfoMapper: passthroughMapper, ...rules(refused) }),
    /** Listening can begin at any time. */
    listening: ({ transportManager }: { readonly transportManager: TransportManager }) => ({
      listen: (at: Multiaddr) => transportManager.listen([at]),
      listeners: () => transportManager.getListeners()
    }),
    relay: isRelay
      ? circuitRelayServer({ reservations: { applyDefaultLimit: false, maxReservations: MAX_RESERVATIONS } })
      : (): undefined => undefined
  }
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed("Ed25519", identity.seed()),
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxEarlyStreams: MAX_CHANNELS,
        streamOptions: { initialStreamWindowSize: INITIAL_WINDOW, maxStreamWindowSize: GREATEST_WINDOW }
      })
    ],
    connectionManager: {
      maxConnections: MAX_CHANNELS,
      inboundConnectionThreshold: MAX_CHANNELS,
      maxIncomingPendingConnections: 64,
      reconnectRetries: 0
    },
    // what is dialled is given by address: private ones too, since a LAN is a swarm as well
    connectionGater: { denyDialMultiaddr: () => false },
    peerDiscovery: isOnLan ? [mdns({ serviceTag: LAN_SERVICE, interval: 1000 * LAN_SECONDS })] : [],
    datastore: new BoundedDatastore(),
    services
  })
  node.addEventListener("peer:discovery", ({ detail }) => {
    if (!isOnLan || node.getConnections().length >= MAX_LAN_PEERS || detail.multiaddrs.length === 0) return
    // anybody can answer a multicast: who is not what it says, or does not listen, is tried again with the next answer
    void node.dial(detail.id, { signal: AbortSignal.timeout(1000 * LAN_SECONDS) }).catch(() => {})
  })
  return Object.assign(node, { refused })
}

export type Node = Awaited<ReturnType<typeof startNode>>
