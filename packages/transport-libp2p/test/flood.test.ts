import { assert, describe, it } from "@effect/vitest"
import { noise } from "@libp2p/noise"
import { tcp } from "@libp2p/tcp"
import { yamux } from "@libp2p/yamux"
import { multiaddr } from "@multiformats/multiaddr"
import { makeTable } from "@swarm/discovery"
import { makeIdentity } from "@swarm/identity"
import { encodeRecord, MAX_RECORD } from "@swarm/protocol"
import { announcement } from "@swarm/testing"
import { makeNetwork, Transport } from "@swarm/transport"
import { makeLibp2p } from "@swarm/transport-libp2p"
import { Effect } from "effect"
import { Key } from "interface-datastore"
import { createLibp2p } from "libp2p"
import { BoundedDatastore, MAX_ENTRIES, MAX_MODELS } from "../src/internal/BoundedDatastore.ts"

const LOCAL = "/ip4/127.0.0.1/tcp/0"
const RECORDS = 10_000
const AT_ONCE = 16
const HOUR = 3_600_000

const varint = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]

/** A field of bytes in protobuf: https://protobuf.dev/programming-guides/encoding/ */
const field = (number: number, bytes: Uint8Array): Uint8Array =>
  Uint8Array.from([(number << 3) | 2, ...varint(bytes.length), ...bytes])

/** PUT_VALUE of libp2p's Kademlia, with its length before it: https://github.com/libp2p/specs/blob/master/kad-dht/README.md#rpc-messages */
const putValue = (key: Uint8Array, value: Uint8Array): Uint8Array => {
  const record = Buffer.concat([field(1, key), field(2, value), field(5, Buffer.from(new Date().toISOString()))])
  const message = Buffer.concat([Uint8Array.of(8, 0), field(2, key), field(3, record)])
  return Buffer.concat([Uint8Array.from(varint(message.length)), message])
}

const start = (join: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const identity = makeIdentity()
    const node = yield* makeLibp2p({ identity })
    const network = yield* Effect.provideService(makeNetwork({ identity, software: "test" }), Transport, node)
    const address = yield* network.serve(LOCAL, () => {})
    yield* Effect.forEach(join, (other) => network.connect(other))
    return { identity, node, address, discovery: yield* makeTable(network, node.table, { model: "m" }) }
  })

describe("a hash table that is flooded", () => {
  it.scopedLive(
    "over plain libp2p by ten thousand junk records refuses and counts each, and leads to the same servers",
    () =>
      Effect.gen(function* () {
        const middle = yield* start([])
        const servers = [yield* start([middle.address]), yield* start([middle.address])]
        for (const { identity, address, discovery } of servers)
          yield* discovery.announce(announcement(identity.peer, 0, 10, { addresses: [address], model: "m" }))
        const victim = servers[0]?.identity ?? makeIdentity()
        const record = (issuedAt: number, of = victim, by = of) =>
          encodeRecord(announcement(of.peer, 0, 10, { addresses: ["/ip4/10.6.6.6/tcp/6"], model: "m" }), issuedAt, by)
        const thief = makeIdentity()
        const junk: ReadonlyArray<(i: number) => Uint8Array> = [
          (i) => record(Date.now() + i, victim, thief),
          () => record(Date.now(), thief),
          (i) => record(Date.now() - HOUR - i),
          (i) => record(Date.now() + HOUR + i),
          () => new Uint8Array(MAX_RECORD + 1)
        ]
        const hostile = yield* Effect.acquireRelease(
          Effect.promise(() =>
            createLibp2p({
              transports: [tcp()],
              connectionEncrypters: [noise()],
              streamMuxers: [yamux()],
              connectionGater: { denyDialMultiaddr: () => false }
            })
          ),
          (node) => Effect.promise(() => Promise.resolve(node.stop()))
        )
        const key = new TextEncoder().encode(`/swarm/${victim.peer}`)
        yield* Effect.promise(async () => {
          const connection = await hostile.dial(multiaddr(middle.address))
          let next = 0
          const worker = async (): Promise<void> => {
            for (let i = next++; i < RECORDS; i = next++) {
              const stream = await connection.newStream("/swarm/kad/1", { maxOutboundStreams: AT_ONCE })
              // refused: the other end resets the stream
              const gone = new Promise<void>((resolve) => stream.addEventListener("close", () => resolve()))
              stream.send(putValue(key, junk[i % junk.length]?.(i) ?? new Uint8Array(0)))
              await gone
            }
          }
          await Promise.all(Array.from({ length: AT_ONCE }, worker))
        })
        const refused = middle.node.table.refused()
        const each = RECORDS / junk.length
        assert.deepInclude(refused, { forged: each, identity: each, expired: each, future: each, oversized: each })

        const client = yield* start([middle.address])
        yield* client.discovery.refresh
        assert.sameDeepMembers(
          client.discovery.known().map(({ peer, addresses }) => [peer, addresses]),
          servers.map(({ identity, address }) => [identity.peer, [address]])
        )
      }),
    60_000
  )

  it("keeps a limited number of records, and of models that a peer is listed for", async () => {
    const store = new BoundedDatastore()
    const names = async (prefix: string): Promise<ReadonlyArray<string>> => {
      const found: Array<string> = []
      for await (const key of store.queryKeys({ prefix })) found.push(key.toString())
      return found
    }
    store.put(new Key("/dht/provider/honest/someone"), new Uint8Array(1))
    for (let i = 0; i < 10_000; i++) {
      store.put(new Key(`/dht/provider/model${i}/hostile`), new Uint8Array(1))
      store.put(new Key(`/dht/record/${i}`), new Uint8Array(1))
    }
    assert.lengthOf(await names("/dht/record"), MAX_ENTRIES)
    assert.lengthOf(await names("/dht/provider"), MAX_MODELS + 1)
    assert.include(await names("/dht/provider"), "/dht/provider/honest/someone")
    assert.isTrue(store.has(new Key("/dht/record/9999")))
    assert.isFalse(store.has(new Key("/dht/record/0")))
  })
})
