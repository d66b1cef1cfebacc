/** Routes over a discovery of one's own: here a list in memory; it could be a database or a file. */
import * as Discovery from "@swarm/discovery"
import type { Announcement } from "@swarm/protocol"
import * as Routing from "@swarm/routing"
import { Effect, Layer } from "effect"

const server = (peer: string, from: number, to: number, decodeRate: number): Announcement => ({
  peer,
  addresses: [`ws://10.0.0.1:${7000 + from}`],
  model: "some-model",
  modelName: "Some model",
  modelBlocks: 12,
  blocks: { from, to },
  state: "online",
  decodeRate,
  prefillRate: 10 * decodeRate,
  digest: "",
  freeTokens: 4096,
  maxTokens: 4096,
  sessions: 0,
  queue: 0,
  version: "0.1.0",
  timeToLive: 30
})
const list = [server("slow", 0, 6, 100), server("fast", 0, 6, 900), server("rest", 6, 12, 500)]

const mine: Discovery.Service = {
  announce: () => Effect.void,
  withdraw: Effect.void,
  known: () => list,
  refresh: Effect.void
}
const layer = Routing.layer({ known: Effect.map(Discovery.Discovery, ({ known }) => known) }).pipe(
  Layer.provide(Layer.succeed(Discovery.Discovery, mine))
)
const program = Effect.gen(function* () {
  const router = yield* Routing.Router
  const hops = yield* router.route({ model: "some-model", blocks: { from: 0, to: 12 }, tokens: 100 })
  console.log(hops.map(({ peer }) => peer).join(" -> "))
})
await Effect.runPromise(program.pipe(Effect.provide(layer)))
// prints: fast -> rest
