/**
 * Servers come, go, vanish, slow down and move.
 * @module
 */
import {
  blockRates,
  expected,
  improve,
  improveRegional,
  joinRegional,
  joinWhole,
  lowestWindow,
  type Move,
  makeForecast,
  makeRecheck,
  type Placed,
  type Recheck,
  rebalance,
  rebalanceWhole
} from "@swarm/balancer"
import type { BlockRange } from "@swarm/protocol"
import type { EventQueue } from "./EventQueue.ts"
import { type Fleet, pinnedBlocks, rateOf, type SimServer } from "./Fleet.ts"
import type { Scenario } from "./Scenario.ts"

/** What happened to servers. */
interface LifeCounts {
  joins: number
  losses: number
  moves: number
}

const DAY = 86_400
const HOUR = 3600

/** Runs the lives of all servers of a fleet. */
export class Lives {
  readonly counts: LifeCounts = { joins: 0, losses: 0, moves: 0 }
  readonly #fleet: Fleet
  readonly #events: EventQueue
  readonly #random: () => number
  readonly #scenario: Scenario
  readonly #balance: Required<NonNullable<Scenario["balance"]>>
  readonly #forecast = makeForecast()
  #plans = 0

  constructor(scenario: Scenario, fleet: Fleet, events: EventQueue, random: () => number) {
    this.#scenario = scenario
    this.#fleet = fleet
    this.#events = events
    this.#random = random
    this.#balance = {
      rule: "petals",
      checkSeconds: 120,
      loadSeconds: 20,
      maxMoves: 2,
      forecastHours: 0,
      ...scenario.balance
    }
  }

  /** Plans the first event of everybody. */
  start(): void {
    for (const server of this.#fleet.servers) {
      const [from, to] = server.spec.join ?? [0, 0]
      const at = from + (to - from) * this.#random()
      this.#events.after(at, () => this.#come(server, at === 0 ? 0 : this.#balance.loadSeconds))
    }
    for (const { at, region, awaySeconds, slower } of this.#scenario.failures?.blows ?? []) {
      this.#events.after(at, () => this.#strike(region, awaySeconds, slower))
    }
    const { rule, checkSeconds } = this.#balance
    if (this.#balance.forecastHours > 0) this.#events.after(0, () => this.#observe())
    if (rule === "improve" || rule === "improve-regional") this.#events.after(checkSeconds, () => this.#plan())
  }

  /** Notes who is there, several times an hour. */
  #observe(): void {
    for (const server of this.#fleet.servers) {
      const rate = server.state === "away" ? 0 : rateOf(server)
      this.#forecast.observe(server.peer, this.#events.now / HOUR, rate)
    }
    this.#events.after(HOUR / 4, () => this.#observe())
  }

  /** Servers as placement counts them: at the rates of now, or at those to expect. */
  #placed(): ReadonlyArray<Placed> {
    const { forecastHours } = this.#balance
    const placed = this.#fleet.placed()
    return forecastHours > 0 ? expected(placed, this.#forecast, this.#events.now / HOUR, forecastHours) : placed
  }

  /** Seconds until a server that keeps hours is there, from now: 0 within them. */
  #opensIn({ spec: { hours } }: SimServer): number {
    if (hours === undefined) return 0
    const hour = (this.#events.now % DAY) / HOUR
    const [from, to] = hours
    const isOpen = from <= to ? from <= hour && hour < to : hour >= from || hour < to
    return isOpen ? 0 : ((from - hour + 24) % 24) * HOUR
  }

  #come(server: SimServer, loadSeconds: number): void {
    if (server.state !== "away") return
    const wait = this.#opensIn(server)
    if (wait > 0) {
      this.#events.after(wait + 1e-6, () => this.#come(server, loadSeconds))
      return
    }
    this.counts.joins++
    this.#load(server, pinnedBlocks(server.spec) ?? this.#choose(server), loadSeconds)
    this.#end(server)
    if (this.#balance.rule === "petals" && pinnedBlocks(server.spec) === undefined) this.#watch(server)
  }

  /** Sessions use spans whole: the rules of servers as they are now. */
  get #isWhole(): boolean {
    return this.#scenario.routing?.partial === false
  }

  #choose({ length, region }: SimServer): BlockRange {
    if (this.#isWhole) return joinWhole(this.#placed(), this.#fleet.blocks, length)
    if (this.#balance.rule === "improve-regional")
      return joinRegional(this.#placed(), this.#fleet.blocks, length, region)
    // the rule of joinBlocks, over rates that are kept
    const isForecast = this.#balance.forecastHours > 0
    const from = lowestWindow(isForecast ? blockRates(this.#placed(), this.#fleet.blocks) : this.#fleet.rates, length)
    return { from, to: from + length }
  }

  /** Announces a place, and is there when the blocks are loaded. */
  #load(server: SimServer, blocks: BlockRange, seconds: number): void {
    if (seconds === 0) {
      this.#fleet.place(server, blocks, "online")
      return
    }
    this.#fleet.place(server, blocks, "joining")
    const { epoch } = server
    this.#events.after(seconds, () => {
      if (server.epoch === epoch && server.state === "joining") this.#fleet.place(server, blocks, "online")
    })
  }

  /** Plans the end of a server's stay. */
  #end(server: SimServer): void {
    const { lifeSeconds, awaySeconds, hours } = server.spec
    const { epoch } = server
    const leave = (away: number | undefined) => (): void => {
      if (server.epoch !== epoch) return
      this.#leave(server, away)
    }
    if (lifeSeconds !== undefined) this.#events.after(-lifeSeconds * Math.log(1 - this.#random()), leave(awaySeconds))
    if (hours === undefined) return
    const hour = (this.#events.now % DAY) / HOUR
    const stay = ((hours[1] - hour + 24) % 24 || 24) * HOUR
    this.#events.after(stay, leave(0))
  }

  #leave(server: SimServer, awaySeconds: number | undefined): void {
    if (server.state === "away") return
    this.counts.losses++
    this.#fleet.remove(server)
    if (awaySeconds !== undefined) this.#events.after(awaySeconds, () => this.#come(server, this.#balance.loadSeconds))
  }

  #strike(region: string, awaySeconds: number | undefined, slower: number | undefined): void {
    for (const server of this.#fleet.servers) {
      if (server.region !== region && !server.region.startsWith(`${region}/`)) continue
      if (slower !== undefined) server.slower = slower
      if (awaySeconds !== undefined) this.#leave(server, awaySeconds)
    }
  }

  /** A server's own checks, as PETALS has them, behind the guard. */
  #watch(server: SimServer): void {
    const guard = makeRecheck({
      meanSeconds: this.#balance.checkSeconds,
      confirmSeconds: this.#balance.checkSeconds / 3,
      restSeconds: 5 * this.#balance.checkSeconds,
      random: this.#random
    })
    this.#events.after(guard.first(), () => this.#check(server, guard, server.epoch))
  }

  #check(server: SimServer, guard: Recheck, epoch: number): void {
    if (server.state === "away" || server.epoch !== epoch) return
    const wish = server.state === "online" ? this.#wish(server) : undefined
    const { move, waitSeconds } = guard.wish(wish, this.#events.now)
    if (move !== undefined) {
      guard.moved(this.#events.now)
      this.#move(server, move)
    }
    this.#events.after(waitSeconds, () => this.#check(server, guard, server.epoch))
  }

  #wish({ peer, length }: SimServer): BlockRange | undefined {
    const [placed, options] = [this.#fleet.placed(), { random: this.#random }]
    return this.#isWhole
      ? rebalanceWhole(peer, placed, this.#fleet.blocks, length, options).move
      : rebalance(peer, placed, this.#fleet.blocks, options).move
  }

  /** The plan that everybody would come to, carried out one after the other. */
  #plan(): void {
    const { rule, checkSeconds, maxMoves } = this.#balance
    const pinned = this.#fleet.servers.filter(
      ({ spec, state }) => pinnedBlocks(spec) !== undefined || state === "joining"
    )
    const improver = rule === "improve" ? improve : improveRegional
    const { moves } = improver(this.#placed(), this.#fleet.blocks, {
      maxMoves,
      pinned: new Set(pinned.map(({ peer }) => peer)),
      rounds: 8,
      moveCost: 0.02,
      seed: ++this.#plans
    })
    for (const move of moves) this.#follow(move)
    this.#events.after(checkSeconds, () => this.#plan())
  }

  #follow({ peer, to }: Move): void {
    const server = this.#fleet.byPeer.get(peer)
    if (server?.state === "online") this.#move(server, to)
  }

  /** Loads the new blocks while the old ones are served, then hands the sessions over: they lose the server with warning. */
  #move(server: SimServer, to: BlockRange): void {
    this.counts.moves++
    const { epoch } = server
    this.#events.after(this.#balance.loadSeconds, () => {
      if (server.state !== "online" || server.epoch !== epoch) return
      this.#fleet.place(server, to, "online")
      for (const guest of [...server.guests]) guest.lost(server)
    })
  }
}
