/** Routes over a discovery of one's own: here a list in memory; it could be a database or a file. */
import * as Discovery from "@swarm/discovery"
import * as Routing from "@swarm/routing"
import { announcement } from "@swarm/testing"
import { Effect, Layer } from "effect"

const list = [
  announcement("slow", 0, 6, { decodeRate: 100 }),
  announcement("fast", 0, 6, { decodeRate: 900 }),
  announcement("rest", 6, 12)
]

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
