import { assert, describe, it } from "@effect/vitest"
import { makeTable, type RecordTable, type TableOptions } from "@swarm/discovery"
import * as compliance from "@swarm/discovery/compliance"
import { encodeRecord, MAX_RECORD } from "@swarm/protocol"
import { Effect, Scope } from "effect"
import { announcement, fresh, idOf, makeClient, makePeer, named, pass, signedBy } from "./support.ts"

/** A table that takes everything. */
const makeMemoryTable = () => {
  const records = new Map<string, Uint8Array>()
  const junk: Array<Uint8Array> = []
  const table: RecordTable = {
    put: async (_, peer, record) => void records.set(peer, record),
    find: async () => [...junk, ...records.values()]
  }
  return { table, records, junk }
}

const options: TableOptions = { model: "model-digest", storeSeconds: 10, refreshSeconds: 5 }

compliance.discovery({
  name: "discovery through a table",
  swarm: Effect.gen(function* () {
    const { table } = makeMemoryTable()
    const server = yield* makePeer(fresh("server"))
    const announcer = yield* Scope.extend(makeTable(server.network, table, options), server.scope)
    const seeker = yield* makeTable(yield* makeClient(fresh("client")), table, options)
    return { peer: server.peer, announcer, seeker, vanish: server.kill }
  }),
  lost: Effect.flatMap(makeClient(fresh("client")), (network) =>
    makeTable(
      network,
      { put: () => Promise.reject(new Error("no peers")), find: () => Promise.reject(new Error("no peers")) },
      options
    )
  )
})

describe("a table flooded with junk", () => {
  it.scoped("gives the same servers as before; ten thousand records are refused and counted", () =>
    Effect.gen(function* () {
      const { table, junk } = makeMemoryTable()
      const model = { model: "m" }
      for (const name of ["a", "b", "c"])
        yield* Effect.promise(() => table.put("m", idOf(name), signedBy(name, model).record))
      const seeker = yield* makeTable(yield* makeClient(fresh("client")), table, { ...options, ...model })
      yield* seeker.refresh
      const before = seeker.known()
      assert.lengthOf(before, 3)
      const good = signedBy("a", model).record
      const makers: ReadonlyArray<(i: number) => Uint8Array> = [
        (i) => new Uint8Array(300).fill(i),
        (i) => good.map((byte, at) => (at === 70 + (i % 300) ? byte ^ 1 : byte)),
        () => new Uint8Array(MAX_RECORD + 1),
        (i) => encodeRecord(announcement(idOf("a"), model), i, named(`thief ${i % 7}`)),
        (i) => encodeRecord(announcement(idOf("a"), model), 1e9 + i, named("a"))
      ]
      for (let i = 0; i < 10_000; i++) junk.push(makers[i % makers.length]?.(i) ?? new Uint8Array(0))
      yield* seeker.refresh
      assert.deepEqual(
        seeker.known().map(({ peer, addresses }) => [peer, addresses]),
        before.map(({ peer, addresses }) => [peer, addresses])
      )
      const refused = seeker.refused?.()
      const total = Object.values(refused ?? {}).reduce((sum, count) => sum + count, 0)
      assert.strictEqual(total, 10_000)
      assert.strictEqual(refused?.oversized, 2000)
      assert.strictEqual(refused?.future, 2000)
    })
  )

  it.scoped("holds no more peers than it may, and serves of other models are none of its business", () =>
    Effect.gen(function* () {
      const { table, junk } = makeMemoryTable()
      const seeker = yield* makeTable(yield* makeClient(fresh("client")), table, {
        ...options,
        model: "m",
        maxEntries: 5
      })
      for (let i = 0; i < 10; i++) junk.push(signedBy(`many ${i}`, { model: i < 8 ? "m" : "n" }).record)
      yield* seeker.refresh
      assert.lengthOf(seeker.known(), 5)
      assert.strictEqual(seeker.refused?.().full, 3)
      yield* pass(1)
    })
  )
})
