/**
 * Channels over libp2p: `/ip4/…/tcp/…`, encrypted, through relays where need be.
 * @module
 */
import type { Connection, Stream } from "@libp2p/interface"
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr"
import type { Identity } from "@swarm/identity"
import {
  type Channel,
  DIAL_SECONDS,
  DialError,
  ListenError,
  MAX_CHANNELS,
  type Service,
  Transport
} from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { findRecords, putRecord } from "./internal/hashTable.ts"
import { type Node, PROTOCOL, startNode } from "./internal/node.ts"
import { makeStreamChannel, type StreamChannel } from "./internal/streamChannel.ts"

export interface Libp2pOptions {
  /** The peer's key: the encryption proves it to the other end. */
  readonly identity: Identity
  /** Whether peers that cannot be reached may be reached through this one. @default true */
  readonly isRelay?: boolean
  /** Whether this peer and others of its LAN find each other by multicast (mDNS), and share the hash table. @default false */
  readonly isOnLan?: boolean
  /** Seconds until a dial must have succeeded. @default 5 */
  readonly dialSeconds?: number
  /** Nodes of the hash table to dial when this one is connected to nobody; asked each time. @default none */
  readonly entries?: () => ReadonlyArray<string>
}

/** A transport, and the hash table that the same peers keep. */
export interface Libp2p extends Service {
  readonly table: HashTable
}

/**
 * Signed announcements in a Kademlia table: a `RecordTable` of `@swarm/discovery`. A node takes a record only under the id of the peer that signed
 * it, and neither of the future nor long over; of two it keeps the newer.
 */
export interface HashTable {
  /** Stores the record of this peer, and that it serves the model. Some round trips to some neighbours. Rejects at once where there are none. */
  readonly put: (model: string, peer: string, record: Uint8Array) => Promise<void>
  /** Records of those who are said to serve the model. */
  readonly find: (model: string) => Promise<ReadonlyArray<Uint8Array>>
  /** Records that this node refused, by reason. */
  readonly refused: () => Readonly<Record<string, number>>
}

/**
 * A libp2p node as a transport; it ends with the scope.
 *
 * Addresses are multiaddrs over TCP. Listening on `/ip4/0.0.0.0/tcp/0` gives one with the peer id behind it (`/p2p/…`), and a dial to that
 * fails if another peer answers. On `…/p2p/RELAY/p2p-circuit` the node listens through that relay: for peers behind a NAT. Whoever dials such an
 * address gets a channel at once; libp2p then tries to open a direct connection for later ones. One listener a node.
 */
export const makeLibp2p = (options: Libp2pOptions): Effect.Effect<Libp2p, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() =>
        startNode({ identity: options.identity, isRelay: options.isRelay ?? true, isOnLan: options.isOnLan ?? false })
      ),
      (node) => Effect.promise(() => Promise.resolve(node.stop()))
    ),
    (node) => ({
      dial: makeDial(node, options.dialSeconds ?? DIAL_SECONDS),
      listen: makeListen(node),
      table: {
        put: async (model, peer, record) => {
          await enter(node, options)
          await putRecord(node, model, peer, record)
        },
        find: async (model) => {
          await enter(node, options)
          return await findRecords(node, model)
        },
        refused: () => ({ ...node.refused })
      }
    })
  )

/** {@link makeLibp2p} as a layer. */
export const layerLibp2p = (options: Libp2pOptions): Layer.Layer<Transport> =>
  Layer.scoped(Transport, makeLibp2p(options))

/** Whether an address is one of this carrier. */
export const isMultiaddr = (address: string): boolean => parse(address) !== undefined

const parse = (address: string): Multiaddr | undefined => {
  try {
    return address.startsWith("/") ? multiaddr(address) : undefined
  } catch {
    return undefined
  }
}

/** Peers of the LAN answer within this. */
const LAN_PATIENCE_SECONDS = 2

const hasPeer = async (node: Node, seconds: number): Promise<boolean> => {
  for (const until = performance.now() + seconds * 1000; performance.now() < until; ) {
    if (node.getConnections().length > 0) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return node.getConnections().length > 0
}

/** Makes sure that there is somebody to ask. Rejects at once if nobody can be reached, where a search would wait. */
const enter = async (node: Node, { entries: given, isOnLan = false }: Libp2pOptions): Promise<void> => {
  if (await hasPeer(node, isOnLan ? LAN_PATIENCE_SECONDS : 0)) return
  const targets = (given?.() ?? []).flatMap((address) => parse(address) ?? [])
  if (targets.length === 0) throw new Error("this node is connected to no other")
  const signal = AbortSignal.timeout(DIAL_SECONDS * 1000)
  await Promise.any(targets.map((target) => node.dial(target, { signal }))).catch((cause: unknown) => {
    throw new Error(messageOf(cause))
  })
}

const makeDial =
  (node: Node, seconds: number): Service["dial"] =>
  (address) =>
    Effect.map(
      Effect.acquireRelease(open(node, address, seconds), ({ shutdown }) =>
        Effect.promise(() => shutdown("the scope closed"))
      ),
      ({ channel }) => channel
    )

const open = (node: Node, address: string, seconds: number): Effect.Effect<StreamChannel, DialError> =>
  Effect.suspend(() => {
    const target = parse(address)
    if (target === undefined) {
      return Effect.fail(new DialError({ address, reason: "address", detail: 'not of the form "/ip4/…/tcp/…"' }))
    }
    return Effect.tryPromise({
      try: async (signal) => {
        const within = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)])
        const attempt = async (force: boolean): Promise<StreamChannel> => {
          const connection = await node.dial(target, { signal: within, force })
          const stream = await connection.newStream(PROTOCOL, {
            signal: within,
            runOnLimitedConnection: true,
            maxOutboundStreams: MAX_CHANNELS
          })
          return makeStreamChannel(stream, address, connection.remotePeer.toString())
        }
        const isKnown = node
          .getConnections()
          .some(({ remotePeer }) => address.endsWith(`/p2p/${remotePeer.toString()}`))
        // a connection that is there may be about to end: then a new one is made
        return isKnown ? await attempt(false).catch(() => attempt(true)) : await attempt(false)
      },
      catch: (cause) => new DialError({ address, reason: reasonOf(cause), detail: messageOf(cause) })
    })
  })

/** One listener at a time: a stream does not tell which address it came in by. */
const makeListen = (node: Node): Service["listen"] => {
  let isListening = false
  return (address, onChannel) =>
    Effect.gen(function* () {
      const target = parse(address)
      const fail = (detail: string) => new ListenError({ address, detail })
      if (target === undefined) return yield* fail('not of the form "/ip4/…/tcp/…"')
      if (isListening) return yield* fail("this node listens already")
      isListening = true
      const channels = new Set<StreamChannel>()
      yield* Effect.addFinalizer(() =>
        Effect.promise(async () => {
          isListening = false
          await node.unhandle(PROTOCOL)
          // first: a listener that closes breaks its connections
          await Promise.all([...channels].map(({ shutdown }) => shutdown("the listener closed")))
          await Promise.all(node.services.listening.listeners().map((listener) => listener.close()))
        })
      )
      return yield* Effect.tryPromise({
        try: () => listen(node, target, channels, onChannel),
        catch: (cause) => fail(messageOf(cause))
      })
    })
}

const listen = async (
  node: Node,
  target: Multiaddr,
  channels: Set<StreamChannel>,
  onChannel: (channel: Channel) => void
): Promise<string> => {
  const accept = (stream: Stream, connection: Connection): void => {
    if (channels.size >= MAX_CHANNELS) {
      stream.abort(new Error("too many channels"))
      return
    }
    const opened = makeStreamChannel(stream, connection.remoteAddr.toString(), connection.remotePeer.toString())
    channels.add(opened)
    void opened.channel.closed.then(() => channels.delete(opened))
    onChannel(opened.channel)
  }
  await node.handle(PROTOCOL, accept, {
    maxInboundStreams: MAX_CHANNELS,
    maxOutboundStreams: MAX_CHANNELS,
    runOnLimitedConnection: true
  })
  await node.services.listening.listen(target)
  const self = `/p2p/${node.peerId.toString()}`
  const asked = target.toString().replace(self, "")
  // the port is the one that was given out; the host stays as it was asked for
  const [bound] = node.services.listening.listeners().flatMap((listener) => listener.getAddrs())
  const port = /\/tcp\/\d+/.exec(bound?.toString() ?? "")?.[0]
  const isRelayed = asked.includes("/p2p-circuit")
  return `${isRelayed || port === undefined ? asked : asked.replace(/\/tcp\/\d+/, port)}${self}`
}

const reasonOf = (cause: unknown): DialError["reason"] => {
  const name = cause instanceof Error ? cause.name : ""
  if (name === "TimeoutError" || name === "AbortError") return "timeout"
  return /Encryption|Protocol|Peer|Muxer|Unsupported/i.test(name) ? "handshake" : "refused"
}

/** An `AggregateError` of several addresses tried has no message of its own. */
const messageOf = (cause: unknown): string => {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(messageOf).join("; ")
  if (cause instanceof Error && cause.message !== "") return cause.message
  return cause instanceof Event ? `the connection ended ("${cause.type}")` : String(cause)
}
