/**
 * Routes of a simulation: the real planner over what clients would know, and what a chain costs at the moment.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { type Candidate, defaultCosts, makeBans, planRoute, type RouteRequest } from "@swarm/routing"
import type { EventQueue } from "./EventQueue.ts"
import { type Fleet, loadFactor, type SimServer } from "./Fleet.ts"
import type { Network } from "./network.ts"
import type { Scenario } from "./Scenario.ts"

/** A server of a chain, and what of it is used. */
export interface SimHop {
  readonly server: SimServer
  readonly blocks: BlockRange
}

/** A plan that several sessions follow. */
interface Plan {
  readonly hops: ReadonlyArray<SimHop>
  readonly madeAt: number
  uses: number
}

/** Swarms up to this size know the round trips between their servers; in larger ones they are taken to be the client's. */
const KNOW_ALL_LINKS = 100

/** Plans are forgotten beyond this. */
const MAX_PLANS = 4096

/** The request asks for parts of spans where the router can give them. */
type Request = RouteRequest & { readonly partial?: boolean }

/** Routes for the clients of all regions. */
export class Paths {
  readonly #scenario: Scenario
  readonly #fleet: Fleet
  readonly #events: EventQueue
  readonly #network: Network
  readonly #random: () => number
  readonly #bans = makeBans()
  readonly #plans = new Map<string, Plan>()
  readonly #trips = new Map<string, ReadonlyMap<string, number>>()
  readonly #links: ReadonlyMap<string, ReadonlyMap<string, number>> | undefined
  /** Routes planned. */
  planned = 0

  constructor(scenario: Scenario, fleet: Fleet, events: EventQueue, network: Network, random: () => number) {
    this.#scenario = scenario
    this.#fleet = fleet
    this.#events = events
    this.#network = network
    this.#random = random
    const { servers } = fleet
    const isSmall = servers.length <= KNOW_ALL_LINKS && (scenario.network.path ?? "chain") === "chain"
    this.#links = isSmall
      ? new Map(servers.map((to) => [to.peer, new Map(servers.map((from) => [from.peer, 2 * this.#hop(from, to)]))]))
      : undefined
  }

  #hop(from: SimServer, to: SimServer): number {
    const line = Math.min(from.spec.mbps ?? Number.POSITIVE_INFINITY, to.spec.mbps ?? Number.POSITIVE_INFINITY)
    return this.#network.seconds(from.region, to.region, this.#scenario.model.tokenBytes, line)
  }

  #way(region: string, { region: at, spec: { mbps } }: SimServer, tokens: number): number {
    const bytes = tokens * this.#scenario.model.tokenBytes
    return this.#network.seconds(region, at, bytes, mbps ?? Number.POSITIVE_INFINITY)
  }

  #tripsOf(region: string): ReadonlyMap<string, number> {
    let trips = this.#trips.get(region)
    if (trips === undefined) {
      trips = new Map(this.#fleet.servers.map((server) => [server.peer, 2 * this.#way(region, server, 1)]))
      this.#trips.set(region, trips)
    }
    return trips
  }

  /** A chain for a client of `region` over `blocks`; undefined if there is none now. */
  route(region: string, blocks: BlockRange, tokens: number): ReadonlyArray<SimHop> | undefined {
    const { staleSeconds = 10, sharedBy = 16 } = this.#scenario.routing ?? {}
    const key = `${region}|${blocks.from}:${blocks.to}|${tokens}`
    const known = this.#plans.get(key)
    const { now } = this.#events
    if (
      known !== undefined &&
      now - known.madeAt <= staleSeconds &&
      known.uses < sharedBy &&
      known.hops.every(isThere)
    ) {
      known.uses++
      return known.hops
    }
    const hops = this.#plan(region, blocks, tokens)
    if (hops === undefined) return undefined
    if (this.#plans.size >= MAX_PLANS) this.#plans.clear()
    this.#plans.set(key, { hops, madeAt: now, uses: 1 })
    return hops
  }

  #plan(region: string, blocks: BlockRange, tokens: number): ReadonlyArray<SimHop> | undefined {
    this.planned++
    const request: Request = {
      model: "model",
      blocks,
      tokens,
      partial: this.#scenario.routing?.partial ?? true
    }
    const costs = { ...defaultCosts, overhead: this.#scenario.overheadSeconds ?? defaultCosts.overhead }
    const plan = planRoute(request, {
      announcements: this.#fleet.announcements(),
      bans: this.#bans,
      trips: { client: this.#tripsOf(region), ...(this.#links === undefined ? {} : { servers: this.#links }) },
      costs,
      now: this.#events.now,
      random: this.#random
    })
    if (plan._tag === "NoRoute") return undefined
    return plan.hops.flatMap(({ peer, blocks: used }: Candidate) => {
      const server = this.#fleet.byPeer.get(peer)
      return server === undefined ? [] : [{ server, blocks: used }]
    })
  }

  /** Seconds of a message through a chain and back, for a step of so many tokens of which the last comes back. */
  #travel(hops: ReadonlyArray<SimHop>, region: string, tokens: number): number {
    const isChain = (this.#scenario.network.path ?? "chain") === "chain"
    let seconds = 0
    for (const [index, { server }] of hops.entries()) {
      const before = hops[index - 1]?.server
      if (before === undefined || !isChain) seconds += this.#way(region, server, tokens)
      else {
        const line = Math.min(
          before.spec.mbps ?? Number.POSITIVE_INFINITY,
          server.spec.mbps ?? Number.POSITIVE_INFINITY
        )
        seconds += this.#network.seconds(before.region, server.region, tokens * this.#scenario.model.tokenBytes, line)
      }
      const isLast = index === hops.length - 1
      if (isLast || !isChain) seconds += this.#way(region, server, isLast ? 1 : tokens)
    }
    return seconds + hops.length * (this.#scenario.overheadSeconds ?? defaultCosts.overhead)
  }

  /** Seconds of one token through a chain, under the load of this moment. */
  stepSeconds(hops: ReadonlyArray<SimHop>, region: string): number {
    return hops.reduce(
      (sum, { server, blocks }) =>
        sum + ((blocks.to - blocks.from) / server.spec.decodeRate) * server.slower * loadFactor(server),
      this.#travel(hops, region, 1)
    )
  }

  /** Seconds of a prompt of so many tokens through a chain, one server after the other. */
  promptSeconds(hops: ReadonlyArray<SimHop>, region: string, tokens: number): number {
    return this.#travel(hops, region, tokens) + this.textSeconds(hops, tokens)
  }

  /** Seconds of compute for a text of so many tokens on top of a step, where servers keep nothing. */
  textSeconds(hops: ReadonlyArray<SimHop>, tokens: number): number {
    return hops.reduce(
      (sum, { server, blocks }) =>
        sum + ((tokens * (blocks.to - blocks.from)) / server.spec.prefillRate) * server.slower * loadFactor(server),
      0
    )
  }

  /** Seconds of a replay of so many tokens into the servers of lost blocks, token by token if `steps`. */
  replaySeconds(hops: ReadonlyArray<SimHop>, region: string, tokens: number, steps: boolean): number {
    if (!steps) return this.promptSeconds(hops, region, tokens)
    return hops.reduce(
      (sum, { server, blocks }) => sum + (tokens * (blocks.to - blocks.from) * server.slower) / server.spec.decodeRate,
      this.#travel(hops, region, tokens)
    )
  }
}

/** Whether a hop still serves what it was planned for. */
export const isThere = ({ server, blocks }: SimHop): boolean =>
  server.state === "online" && server.blocks.from <= blocks.from && blocks.to <= server.blocks.to
