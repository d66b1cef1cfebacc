import { createSocket } from "node:dgram"
import { assert, describe, it } from "@effect/vitest"
import { makeTable } from "@swarm/discovery"
import { makeIdentity } from "@swarm/identity"
import { announcement } from "@swarm/testing"
import { makeNetwork, Transport } from "@swarm/transport"
import { makeLibp2p } from "@swarm/transport-libp2p"
import { Effect } from "effect"

/** Nobody else's: other tests may run on this LAN. */
const model = makeIdentity().peer

/** Whether what is sent by multicast arrives. */
const hasMulticast = await new Promise<boolean>((resolve) => {
  const socket = createSocket({ type: "udp4", reuseAddr: true })
  const end = (arrived: boolean) => {
    clearTimeout(timer)
    socket.close()
    resolve(arrived)
  }
  const timer = setTimeout(() => end(false), 500)
  socket.on("message", () => end(true)).on("error", () => end(false))
  socket.bind(0, () => {
    socket.addMembership("224.0.0.251")
    socket.send("swarm", socket.address().port, "224.0.0.251")
  })
})

const start = (isOnLan: boolean) =>
  Effect.gen(function* () {
    const identity = makeIdentity()
    const node = yield* makeLibp2p({ identity, isOnLan })
    const network = yield* Effect.provideService(makeNetwork({ identity, software: "test" }), Transport, node)
    const address = yield* network.serve("/ip4/127.0.0.1/tcp/0", () => {})
    return { identity, address, discovery: yield* makeTable(network, node.table, { model }) }
  })

describe.skipIf(!hasMulticast)("peers of a LAN", () => {
  it.scopedLive(
    "find each other without an address; who does not take part finds nobody",
    () =>
      Effect.gen(function* () {
        const server = yield* start(true)
        yield* server.discovery.announce(
          announcement(server.identity.peer, 0, 10, { addresses: [server.address], model })
        )
        const client = yield* start(true)
        const look: Effect.Effect<ReadonlyArray<string>> = Effect.gen(function* () {
          yield* Effect.ignore(client.discovery.refresh)
          const found = client.discovery.known().map(({ peer }) => peer)
          return found.length > 0 ? found : yield* Effect.delay(look, "500 millis")
        })
        assert.deepEqual(yield* look, [server.identity.peer])
        const stranger = yield* start(false)
        assert.strictEqual((yield* Effect.flip(stranger.discovery.refresh))._tag, "DiscoveryError")
      }),
    30_000
  )
})
