/**
 * The life of one session: prompt, tokens, losses, repairs.
 * @module
 */
import type { EventQueue } from "./EventQueue.ts"
import type { Guest, SimServer } from "./Fleet.ts"
import { isThere, type Paths, type SimHop } from "./Paths.ts"
import type { LoadSpec, Scenario } from "./Scenario.ts"
import type { Tally } from "./Tally.ts"

/** What all sessions share. */
export interface World {
  readonly scenario: Scenario
  readonly events: EventQueue
  readonly paths: Paths
  readonly tally: Tally
  readonly random: () => number
}

/** Tokens between two looks at the load of the servers. */
const CHUNK = 32
/** Seconds between two looks for a server that is missing. */
const LOOK_SECONDS = 1

/** One session; `start` begins it. */
export class SimSession implements Guest {
  readonly #world: World
  readonly #load: LoadSpec
  readonly #region: string
  #hops: ReadonlyArray<SimHop> = []
  /** New tokens so far. */
  #tokens = 0
  /** Rises with every loss: what was planned before is void. */
  #epoch = 0
  #startedAt = 0
  #firstAt = -1
  /** When the present pause began; -1: none. */
  #pausedAt = -1
  /** Since when nobody serves what it needs; -1: somebody does. */
  #strandedAt = -1
  /** The chunk under way. */
  #chunk = { from: 0, tokens: 0, at: 0, seconds: 0 }

  constructor(world: World, load: LoadSpec) {
    this.#world = world
    this.#load = load
    this.#region = load.region ?? ""
  }

  get #recovery() {
    return this.#world.scenario.recovery ?? "replay"
  }

  get #length(): number {
    return this.#load.promptTokens + this.#load.newTokens
  }

  start(): void {
    this.#startedAt = this.#world.events.now
    this.#world.tally.started++
    this.#open()
  }

  #later(seconds: number, run: () => void): void {
    const epoch = this.#epoch
    this.#world.events.after(seconds, () => {
      if (epoch === this.#epoch) run()
    })
  }

  #join(hops: ReadonlyArray<SimHop>): void {
    for (const { server } of hops) {
      if (server.guests.has(this)) continue
      server.guests.add(this)
      server.reserved += this.#length
    }
  }

  #quit(hops: ReadonlyArray<SimHop>): void {
    for (const { server } of hops) if (server.guests.delete(this)) server.reserved -= this.#length
  }

  /** Finds a whole chain and runs the prompt, and what was generated before if there is anything. */
  #open(): void {
    const { paths, scenario } = this.#world
    const hops = paths.route(this.#region, { from: 0, to: scenario.model.blocks }, this.#length)
    if (hops === undefined) {
      this.#wait(() => this.#open())
      return
    }
    this.#strandedAt = -1
    this.#hops = hops
    this.#join(hops)
    const tokens = this.#load.promptTokens
    if (tokens === 0 || this.#recovery === "cacheless") {
      this.#run()
      return
    }
    this.#later(paths.promptSeconds(hops, this.#region, tokens), () => this.#run())
  }

  #wait(again: () => void): void {
    const { events, scenario, tally } = this.#world
    if (this.#strandedAt < 0) this.#strandedAt = events.now
    if (events.now - this.#strandedAt < (scenario.failures?.graceSeconds ?? 60)) {
      this.#later(LOOK_SECONDS, again)
      return
    }
    tally.stranded++
    this.#epoch++
    this.#quit(this.#hops)
  }

  /** Seconds of the next token, by the way that the session takes. */
  #tokenSeconds(): number {
    const { paths } = this.#world
    if (this.#recovery !== "cacheless") return paths.stepSeconds(this.#hops, this.#region)
    const text = this.#load.promptTokens + this.#tokens
    return paths.stepSeconds(this.#hops, this.#region) + paths.textSeconds(this.#hops, text)
  }

  /** Generates the next tokens, up to the next failed send. */
  #run(): void {
    const { events, scenario, tally, random } = this.#world
    if (!this.#hops.every(isThere)) {
      this.#losesOne()
      return
    }
    if (this.#pausedAt >= 0) {
      tally.pauses.add(events.now - this.#pausedAt)
      this.#pausedAt = -1
    }
    const p = scenario.failures?.perSend ?? 0
    const sends = this.#hops.length + 1
    const left = this.#load.newTokens - this.#tokens
    const tokens = Math.min(this.#recovery === "cacheless" ? 1 : CHUNK, left)
    // sends until one fails: geometric
    const failing = p > 0 ? Math.floor(Math.log(1 - random()) / Math.log(1 - p)) : Number.POSITIVE_INFINITY
    const seconds = this.#tokenSeconds()
    const whole = Math.min(tokens, Math.floor(failing / sends))
    this.#chunk = { from: this.#tokens, tokens, at: events.now, seconds }
    this.#later(whole * seconds, () => {
      this.#reach(this.#chunk.from + whole)
      if (whole < tokens) {
        this.#sendFails(failing % sends)
        return
      }
      if (this.#tokens >= this.#load.newTokens) {
        this.#finish()
        return
      }
      this.#run()
    })
  }

  #reach(tokens: number): void {
    const { events } = this.#world
    if (this.#firstAt < 0 && tokens > 0) this.#firstAt = this.#chunk.at + this.#chunk.seconds
    this.#tokens = tokens
    if (tokens > this.#chunk.from) this.#chunk = { ...this.#chunk, from: tokens, at: events.now }
  }

  /** The send to the hop at `index` (behind the last one: to the client) fails. */
  #sendFails(index: number): void {
    const { tally } = this.#world
    tally.recoveries++
    if (this.#recovery === "cacheless") {
      this.#again()
      return
    }
    this.#repair(this.#hops[Math.min(index, this.#hops.length - 1)])
  }

  /** A cacheless step is made again. */
  #again(): void {
    const { events, scenario } = this.#world
    if (this.#pausedAt < 0) this.#pausedAt = events.now
    this.#later(scenario.failures?.noticeSeconds ?? 0.05, () => this.#run())
  }

  lost(server: SimServer): void {
    const { events, tally } = this.#world
    const { from, tokens, at, seconds } = this.#chunk
    if (this.#hops.length === 0) return
    const done = seconds > 0 ? Math.floor((events.now - at) / seconds) : 0
    this.#reach(Math.min(from + Math.max(0, done), from + tokens, this.#load.newTokens))
    tally.recoveries++
    this.#repair(this.#hops.find((hop) => hop.server === server))
  }

  #losesOne(): void {
    this.#world.tally.recoveries++
    this.#repair(this.#hops.find((hop) => !isThere(hop)))
  }

  #repair(hop: SimHop | undefined): void {
    const { events, scenario, tally } = this.#world
    this.#epoch++
    if (this.#pausedAt < 0) this.#pausedAt = events.now
    this.#chunk = { from: this.#tokens, tokens: 0, at: events.now, seconds: 0 }
    const noticed = scenario.failures?.noticeSeconds ?? 0.05
    if (this.#recovery === "restart" || this.#recovery === "cacheless" || hop === undefined) {
      this.#quit(this.#hops)
      this.#hops = []
      if (this.#recovery !== "cacheless") {
        tally.wasted += this.#tokens
        this.#tokens = 0
      }
      this.#later(noticed, () => this.#open())
      return
    }
    this.#later(noticed, () => this.#replace(hop))
  }

  /** Fills the place of one hop and feeds the new servers. */
  #replace(hop: SimHop): void {
    const { paths } = this.#world
    const found = paths.route(this.#region, hop.blocks, this.#length)
    if (found === undefined) {
      this.#wait(() => this.#replace(hop))
      return
    }
    this.#strandedAt = -1
    const index = this.#hops.indexOf(hop)
    const hops = [...this.#hops.slice(0, index), ...found, ...this.#hops.slice(index + 1)]
    this.#quit(this.#hops)
    this.#hops = hops
    this.#join(hops)
    const tokens = this.#load.promptTokens + this.#tokens
    const steps = this.#recovery === "replay-steps"
    this.#later(paths.replaySeconds(found, this.#region, tokens, steps), () => this.#run())
  }

  #finish(): void {
    const { events, tally } = this.#world
    this.#epoch++
    this.#quit(this.#hops)
    tally.finished++
    tally.tokens += this.#load.newTokens
    tally.sessionSeconds += events.now - this.#startedAt
    tally.rates.add(this.#load.newTokens / Math.max(1e-9, events.now - this.#startedAt))
    tally.firstToken.add(this.#firstAt - this.#startedAt)
  }
}
