/**
 * The layers that commands run on: the network, discovery by given addresses, routing, the engine.
 * @module
 */
import { layer as layerClient, type Swarm } from "@swarm/client"
import {
  addRefusals,
  type BootstrapOptions,
  combine,
  type Service as Discovering,
  Discovery,
  hostOf,
  isLoopbackHost,
  makeBootstrap,
  makeStatic,
  makeTable,
  noRefusals,
  type RecordTable,
  type Refusals
} from "@swarm/discovery"
import * as Engine from "@swarm/engine"
import { type Identity, makeIdentity } from "@swarm/identity"
import { layer as layerRouting } from "@swarm/routing"
import {
  type ListenError,
  layerWebSocket,
  makeNetwork,
  makeWebSocket,
  Network,
  type Service,
  Transport
} from "@swarm/transport"
import type { Libp2p } from "@swarm/transport-libp2p"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type Member, remembered } from "./membership.ts"
import { version } from "./version.ts"

/** A transport of every carrier, and the hash table of one of them. */
interface Carriers {
  readonly transport: Service
  /** Starts libp2p, if nothing has yet. */
  readonly table: RecordTable
  /** What this peer's part of the table refused from others. */
  readonly refused: () => Refusals
}

/**
 * `ws://…` and multiaddrs, each by its own carrier. libp2p is loaded and started when the first of its addresses is used: most swarms use none.
 *
 * @param entries Where the hash table is entered.
 */
const makeCarriers = (
  identity: Identity,
  entries: () => ReadonlyArray<string>,
  isOnLan: boolean
): Effect.Effect<Carriers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const webSocket = makeWebSocket()
    let started: Libp2p | undefined
    const libp2p = yield* Effect.cached(
      Effect.promise(() => import("@swarm/transport-libp2p")).pipe(
        Effect.flatMap(({ makeLibp2p }) => Scope.extend(makeLibp2p({ identity, entries, isOnLan }), scope)),
        Effect.tap((node) =>
          Effect.sync(() => {
            started = node
          })
        )
      )
    )
    const of = (address: string): Effect.Effect<Service> => (isMultiaddr(address) ? libp2p : Effect.succeed(webSocket))
    return {
      transport: {
        dial: (address) => Effect.flatMap(of(address), ({ dial }) => dial(address)),
        listen: (address, onChannel) => Effect.flatMap(of(address), ({ listen }) => listen(address, onChannel))
      },
      table: {
        put: async (model, peer, record) => (await Effect.runPromise(libp2p)).table.put(model, peer, record),
        find: async (model) => (await Effect.runPromise(libp2p)).table.find(model)
      },
      refused: () => ({ ...noRefusals(), ...started?.table.refused() })
    }
  })

const isMultiaddr = (address: string): boolean => address.startsWith("/")

/** Whether an address is not of this machine's loopback interface. */
export const isElsewhere = (address: string): boolean => !isLoopbackHost(hostOf(address) ?? "")

/** Who joins by web sockets of this machine only, tries a swarm out: its ports are others next time. */
const isLasting = (address: string): boolean => isMultiaddr(address) || isElsewhere(address)

/** Which swarm, and who wants to be in it. */
export interface Joining {
  /** Addresses of servers that are directories. */
  readonly join: ReadonlyArray<string>
  readonly member: Member
  /** Where a server listens. */
  readonly listen?: string
  /** Whether peers of the LAN are looked for by multicast. */
  readonly mdns?: boolean
  /** Digest of the model that is wanted; without one the hash table, which is kept by model, is not asked. */
  readonly model?: string
}

/** A server stores itself in the hash table so often; it is listed for three times as long. */
const STORE_SECONDS = 15

/** The network, and discovery by `near` beside the hash table if there is one: among peers with multiaddrs. */
const layerOf = (
  { join, member, listen, model, mdns = false }: Joining,
  near: (network: Network, options: BootstrapOptions) => Effect.Effect<Discovering, never, Scope.Scope>
): Layer.Layer<Network | Discovery> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { identity, membership } = member
      const memory = join.some(isLasting) ? remembered(join, membership?.swarm) : undefined
      const entries = () => [...join, ...(memory?.load() ?? [])].filter(isMultiaddr)
      const { transport, table, refused } = yield* makeCarriers(identity, entries, mdns)
      const network = yield* Effect.provideService(
        makeNetwork({ identity, ...(membership === undefined ? {} : { membership }), software: `swarm ${version}` }),
        Transport,
        transport
      )
      const directories = yield* near(network, { addresses: join, ...(memory === undefined ? {} : { memory }) })
      const isLibp2p = mdns || [...join, ...(listen === undefined ? [] : [listen])].some(isMultiaddr)
      const discovery =
        isLibp2p && model !== undefined
          ? combine([directories, yield* makeTable(network, table, { model, storeSeconds: STORE_SECONDS })])
          : directories
      return Context.make(Network, network).pipe(
        Context.add(Discovery, {
          ...discovery,
          refused: () => addRefusals(discovery.refused?.() ?? noRefusals(), refused())
        })
      )
    })
  )

/** Fails at once where nobody could listen, rather than after minutes of loading. Multiaddrs are not tried. */
export const assertFree = (address: string): Effect.Effect<void, ListenError> =>
  isMultiaddr(address) ? Effect.void : Effect.scoped(makeWebSocket().listen(address, () => Effect.void))

/** What a server needs besides its span: it announces itself to the directories. */
export const serverLayer = (joining: Joining): Layer.Layer<Network | Discovery> => layerOf(joining, makeBootstrap)

/** Who looks at the swarm. */
export const seekerLayer = (joining: Joining): Layer.Layer<Network | Discovery> => layerOf(joining, makeStatic)

/** A client of the swarm that the servers at `join` know; the hash table and the LAN are asked for a `model`. */
export const clientLayer = (
  join: ReadonlyArray<string>,
  member: Member = { identity: makeIdentity(), membership: undefined },
  beside: Pick<Joining, "model" | "mdns"> = {}
): Layer.Layer<Swarm | Discovery> => {
  const routing = layerRouting({
    known: Effect.map(Discovery, ({ known }) => known),
    onDemotion: (peer, demotion) =>
      console.error(`server ${peer.slice(-8)} ${demotion === undefined ? "gets another try" : demotion.reason}`)
  })
  return layerClient().pipe(Layer.provide(routing), Layer.provideMerge(seekerLayer({ join, member, ...beside })))
}

/** What the ranks of a group reach each other over. */
export const transportLayer = layerWebSocket()

/** The engine; see `@swarm/engine`. */
export const engineLayer = Engine.layer
