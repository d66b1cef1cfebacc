/**
 * Runs a scenario in virtual time.
 * @module
 */
import { bottleneck, evenBound, seeded } from "@swarm/balancer"
import { EventQueue } from "./EventQueue.ts"
import { Fleet } from "./Fleet.ts"
import { Lives } from "./Lives.ts"
import { makeNetwork } from "./network.ts"
import { Paths } from "./Paths.ts"
import type { LoadSpec, Scenario } from "./Scenario.ts"
import { SimSession, type World } from "./SimSession.ts"
import { Tally } from "./Tally.ts"

/** What came out. Times in virtual seconds, rates in tokens per second of one session. */
export interface Outcome {
  readonly name: string
  readonly sessions: { readonly started: number; readonly finished: number; readonly stranded: number }
  readonly tokens: number
  /** New tokens of finished sessions over the sum of their lives, prompts included; and quantiles of the sessions' own rates. */
  readonly tokensPerSecond: { readonly mean: number; readonly p50: number; readonly p5: number }
  readonly firstTokenSeconds: { readonly p50: number; readonly p95: number }
  readonly recoveries: number
  readonly wastedTokens: number
  readonly pauseSeconds: { readonly count: number; readonly p50: number; readonly p95: number }
  readonly servers: { readonly joins: number; readonly losses: number; readonly moves: number }
  /** Share of the time in which every block had a server. */
  readonly covered: number
  /** Throughput of the slowest block, mean over time, and as a share of all throughput spread evenly. */
  readonly bottleneck: { readonly mean: number; readonly quality: number }
  readonly seconds: number
  readonly events: number
  readonly routes: number
  /** The figure that was published, if the scenario has one. */
  readonly published: number | undefined
}

/** Looks at coverage and bottleneck in one simulation. */
const LOOKS = 500
/** A simulation without a set end is over at the latest then. */
const LONGEST = 1e9
const DAY_HOURS = 24
const HOUR = 3600

/** A moment of `during`, by the weights of the hours if there are such: by rejection. */
const momentOf = ({ during = [0, 0], byHour }: LoadSpec, random: () => number): number => {
  const most = byHour === undefined ? 0 : Math.max(...byHour)
  for (;;) {
    const at = during[0] + (during[1] - during[0]) * random()
    if (byHour === undefined || most <= 0) return at
    if (random() * most < (byHour[Math.floor(at / HOUR) % DAY_HOURS] ?? 0) || during[1] === during[0]) return at
  }
}

/** How well the swarm stands, looked at from time to time. */
const watch = (fleet: Fleet, events: EventQueue, isOver: () => boolean, every: number) => {
  const seen = { looks: 0, covered: 0, bottleneck: 0, quality: 0 }
  const look = (): void => {
    seen.looks++
    if (fleet.holders.every((count) => count > 0)) seen.covered++
    const least = Math.max(0, bottleneck(fleet.rates))
    const bound = evenBound(fleet.placed(), fleet.blocks)
    seen.bottleneck += least
    seen.quality += bound > 0 ? least / bound : 0
    if (!isOver()) events.after(every, look)
  }
  events.after(0, look)
  return seen
}

/**
 * Simulates one run of a scenario ({@link parseScenario} gives its runs). Deterministic: the same scenario and seed give the same
 * outcome. Routes come from `@swarm/routing`, places from `@swarm/balancer`. Some microseconds an event, and what each route and check costs.
 *
 * @example One session over two servers
 * ```ts
 * import { simulate } from "@swarm/simulator"
 *
 * const { sessions, tokensPerSecond } = simulate({
 *   name: "two halves",
 *   model: { blocks: 8, tokenBytes: 0 },
 *   servers: [{ count: 2, blocks: 4, decodeRate: 80, prefillRate: 800 }],
 *   load: [{ count: 1, promptTokens: 0, newTokens: 100 }],
 *   network: { within: { rttMs: 0 } },
 *   overheadSeconds: 0
 * })
 * console.log(sessions.finished, tokensPerSecond.mean.toFixed(2)) // => 1 10.00
 * ```
 */
export const simulate = (scenario: Scenario): Outcome => {
  const random = seeded(scenario.seed ?? 1)
  const events = new EventQueue()
  const fleet = new Fleet(scenario, random)
  const tally = new Tally(seeded((scenario.seed ?? 1) + 1))
  const lives = new Lives(scenario, fleet, events, random)
  const paths = new Paths(scenario, fleet, events, makeNetwork(scenario), random)
  const world: World = { scenario, events, paths, tally, random }
  const total = scenario.load.reduce((sum, { count }) => sum + count, 0)
  const end = scenario.seconds ?? LONGEST
  const isOver = (): boolean =>
    events.now >= end || (scenario.seconds === undefined && tally.finished + tally.stranded >= total)

  lives.start()
  let last = 0
  for (const load of scenario.load) {
    for (let i = 0; i < load.count; i++) {
      const at = momentOf(load, random)
      last = Math.max(last, at)
      events.after(at, () => new SimSession(world, load).start())
    }
  }
  const seen = watch(fleet, events, isOver, Math.max(0.001, (scenario.seconds ?? Math.max(last, 60)) / LOOKS))
  // servers live on for ever; sessions decide when it is over
  while (!isOver() && events.step(end)) {}
  const looks = Math.max(1, seen.looks)
  return {
    name: scenario.name,
    sessions: { started: tally.started, finished: tally.finished, stranded: tally.stranded },
    tokens: tally.tokens,
    tokensPerSecond: {
      mean: tally.tokens / Math.max(1e-9, tally.sessionSeconds),
      p50: tally.rates.quantile(0.5),
      p5: tally.rates.quantile(0.05)
    },
    firstTokenSeconds: { p50: tally.firstToken.quantile(0.5), p95: tally.firstToken.quantile(0.95) },
    recoveries: tally.recoveries,
    wastedTokens: tally.wasted,
    pauseSeconds: { count: tally.pauses.count, p50: tally.pauses.quantile(0.5), p95: tally.pauses.quantile(0.95) },
    servers: lives.counts,
    covered: seen.covered / looks,
    bottleneck: { mean: seen.bottleneck / looks, quality: seen.quality / looks },
    seconds: events.now,
    events: events.count,
    routes: paths.planned,
    published: scenario.published
  }
}
