/** A router of one's own: it takes the servers of one region while they last, and asks the standard one otherwise. */
import * as Routing from "@swarm/routing"
import { Effect, Layer } from "effect"

/** Wraps a router: peers that `isPreferred` refuses are tried only if no chain exists without them. */
const preferring = (
  isPreferred: (peer: string) => boolean,
  inner: Routing.Service,
  peers: ReadonlyArray<string>
): Routing.Service => ({
  report: inner.report,
  route: (request) => {
    const strangers = peers.filter((peer) => !isPreferred(peer))
    const exclude = [...(request.exclude ?? []), ...strangers]
    return Effect.orElse(inner.route({ ...request, exclude }), () => inner.route(request))
  }
})

const standard: Routing.Service = {
  report: () => Effect.void,
  route: ({ exclude = [], blocks, model }) => {
    const peer = ["us-1", "eu-1"].find((candidate) => !exclude.includes(candidate))
    return peer === undefined
      ? Effect.fail(new Routing.NoRoute({ model, missing: [blocks], banned: [] }))
      : Effect.succeed([{ peer, address: `ws://${peer}.example:7000`, blocks, digest: "" }])
  }
}
const layer = Layer.succeed(
  Routing.Router,
  preferring((peer) => peer.startsWith("eu-"), standard, ["us-1", "eu-1"])
)

const program = Effect.gen(function* () {
  const router = yield* Routing.Router
  const request = { model: "m", blocks: { from: 0, to: 8 }, tokens: 10 }
  console.log((yield* router.route(request))[0]?.peer)
  console.log((yield* router.route({ ...request, exclude: ["eu-1"] }))[0]?.peer)
})
await Effect.runPromise(program.pipe(Effect.provide(layer)))
// prints: eu-1
// us-1
