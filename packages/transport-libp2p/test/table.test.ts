import { assert, describe, it } from "@effect/vitest"
import { makeTable, type RecordTable } from "@swarm/discovery"
import { type Identity, makeIdentity } from "@swarm/identity"
import { encodeRecord } from "@swarm/protocol"
import { announcement } from "@swarm/testing"
import { makeNetwork, Transport } from "@swarm/transport"
import { type Libp2p, makeLibp2p } from "@swarm/transport-libp2p"
import { Effect } from "effect"

const LOCAL = "/ip4/127.0.0.1/tcp/0"

/** A node that listens, and has dialled those at `join`. */
const start = (join: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const identity = makeIdentity()
    const node: Libp2p = yield* makeLibp2p({ identity })
    const network = yield* Effect.provideService(makeNetwork({ identity, software: "test" }), Transport, node)
    const address = yield* network.serve(LOCAL, () => {})
    yield* Effect.forEach(join, (other) => network.connect(other))
    return { identity, node, network, address }
  })

const eventually = <A>(get: () => Promise<A | undefined>): Effect.Effect<A> =>
  Effect.flatMap(
    Effect.promise(() => get().catch(() => undefined)),
    (value) => (value === undefined ? Effect.delay(eventually(get), "200 millis") : Effect.succeed(value))
  )

const isStored = (table: RecordTable, peer: Identity["peer"], record: Uint8Array) =>
  eventually(() => table.put("m", peer, record).then(() => true))

describe("the hash table", () => {
  it.scopedLive(
    "gives to one peer what another stored, through a third; junk is refused where it comes to",
    () =>
      Effect.gen(function* () {
        const middle = yield* start([])
        const server = yield* start([middle.address])
        const client = yield* start([middle.address])
        const record = (issuedAt: number, signer = server.identity) =>
          encodeRecord(
            announcement(server.identity.peer, 0, 10, { addresses: [server.address], model: "m" }),
            issuedAt,
            signer
          )
        yield* isStored(server.node.table, server.identity.peer, record(Date.now()))
        const found = yield* eventually(async () => {
          const records = await client.node.table.find("m")
          return records.length > 0 ? records : undefined
        })
        assert.lengthOf(found, 1)

        const discovery = yield* makeTable(client.network, client.node.table, { model: "m" })
        yield* discovery.refresh
        assert.deepEqual(
          discovery.known().map(({ peer, addresses }) => [peer, addresses]),
          [[server.identity.peer, [server.address]]]
        )
        assert.deepEqual(yield* Effect.promise(() => client.node.table.find("another model")), [])

        const hour = 3_600_000
        for (const junk of [
          record(Date.now(), client.identity),
          record(Date.now() + hour),
          record(Date.now() - hour),
          new Uint8Array(100)
        ]) {
          yield* Effect.promise(() => client.node.table.put("m", server.identity.peer, junk).catch(() => {}))
        }
        yield* discovery.refresh
        assert.lengthOf(discovery.known(), 1)
        const refused = [client, middle, server].map(({ node }) => node.table.refused())
        for (const reason of ["forged", "future", "expired", "malformed"]) {
          assert.isAbove(
            refused.reduce((sum, counts) => sum + (counts[reason] ?? 0), 0),
            0,
            reason
          )
        }
      }),
    60_000
  )
})
