/** A router of one's own around the standard one: servers of one region while they form a chain, any server otherwise. */
import * as Routing from "@swarm/routing"
import { announcement } from "@swarm/testing"
import { Effect, Layer } from "effect"

const servers = [
  announcement("us-1", 0, 8, { decodeRate: 900 }),
  announcement("eu-1", 0, 8, { decodeRate: 400 }),
  announcement("eu-2", 0, 8, { decodeRate: 300 })
]

/** Peers that `isPreferred` refuses are asked only if no chain exists without them. */
const preferring = (isPreferred: (peer: string) => boolean, inner: Routing.Service): Routing.Service => ({
  report: inner.report,
  route: (request) => {
    const strangers = servers.map(({ peer }) => peer).filter((peer) => !isPreferred(peer))
    const exclude = [...(request.exclude ?? []), ...strangers]
    return Effect.orElse(inner.route({ ...request, exclude }), () => inner.route(request))
  }
})
const layer = Layer.effect(
  Routing.Router,
  Effect.map(Routing.make({ known: Effect.succeed(() => servers) }), (standard) =>
    preferring((peer) => peer.startsWith("eu-"), standard)
  )
)

const program = Effect.gen(function* () {
  const router = yield* Routing.Router
  const request = { model: "some-model", blocks: { from: 0, to: 8 }, tokens: 10 }
  for (let attempt = 0; attempt < 3; attempt++) {
    const [hop] = yield* router.route(request)
    console.log(hop?.peer)
    // bans are the standard router's business: the wrapper passes reports on
    if (hop !== undefined) yield* router.report(hop.peer, { _tag: "Failed", detail: "the channel closed" })
  }
})
await Effect.runPromise(program.pipe(Effect.provide(layer)))
// prints: eu-1
// eu-2
// us-1
