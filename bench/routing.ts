/**
 * Time of the first route over a large swarm: 10,000 servers of an 80-block model, spans of many lengths, unknown and known round trips.
 *
 *     node --import tsx --conditions=swarm-src bench/routing.ts [servers]
 *
 * Nothing is kept between two routes, so each is a first one but for the warmth of the code; the first of the process is shown too.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import { defaultCosts, makeBans, planRoute } from "@swarm/routing"

const servers = Number(process.argv[2] ?? 10_000)
const blocks = 80

let state = 42
const random = (): number => {
  state = (state * 48271) % 2147483647
  return (state - 1) / 2147483646
}
const below = (n: number): number => Math.floor(random() * n)

const announcements = Array.from({ length: servers }, (_, index): Announcement => {
  const length = [4, 8, 10, 16, 20, 40][below(6)] ?? 8
  // Half of the swarm keeps to multiples of four, the other half begins anywhere
  const from = index % 2 === 0 ? 4 * below((blocks - length) / 4 + 1) : below(blocks - length + 1)
  return {
    peer: `peer-${index}`,
    addresses: [`ws://10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:4000`],
    model: "model",
    modelName: "model",
    modelBlocks: blocks,
    blocks: { from, to: from + length },
    state: "online",
    decodeRate: 200 + 2000 * random(),
    prefillRate: 20_000,
    digest: "",
    freeTokens: below(8192),
    maxTokens: 8192,
    sessions: below(8),
    queue: below(3),
    version: "0.1.0",
    timeToLive: 30
  }
})
const client = new Map(announcements.filter(() => random() < 0.3).map(({ peer }) => [peer, 0.2 * random()]))

/** Some servers have measured each other: these links are edges of their own. */
const measured = (targets: number): ReadonlyMap<string, ReadonlyMap<string, number>> =>
  new Map(
    Array.from({ length: targets }, () => [
      `peer-${below(servers)}`,
      new Map(Array.from({ length: 3 }, () => [`peer-${below(servers)}`, 0.05 * random()]))
    ])
  )

const bans = makeBans()
for (let i = 0; i < servers / 100; i++) bans.failed(`peer-${below(servers)}`, "gone", 0)

const time = (
  name: string,
  links: ReadonlyMap<string, ReadonlyMap<string, number>>,
  goal: "latency" | "throughput"
): void => {
  const times: Array<number> = []
  let hops = 0
  for (let run = 0; run < 12; run++) {
    const start = performance.now()
    const plan = planRoute(
      { model: "model", blocks: { from: 0, to: blocks }, tokens: 1024, goal },
      { announcements, bans, trips: { client, servers: links }, costs: defaultCosts, now: 1, random }
    )
    times.push(performance.now() - start)
    hops = plan._tag === "Route" ? plan.hops.length : 0
  }
  const [first = 0, ...rest] = times
  const median = rest.sort((a, b) => a - b)[Math.floor(rest.length / 2)] ?? 0
  console.log(
    JSON.stringify({
      bench: "routing",
      name,
      servers,
      blocks,
      hops,
      firstMs: +first.toFixed(1),
      medianMs: +median.toFixed(1)
    })
  )
}

time("latency", new Map(), "latency")
time("latency, 300 servers with measured links", measured(300), "latency")
time("throughput", new Map(), "throughput")
