import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { makeBootstrap, peersFile } from "@swarm/discovery"
import { Effect } from "effect"
import { announcement, fresh, makeClient, makePeer, pass } from "./support.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "swarm-peers-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

describe("peersFile()", () => {
  it.scoped("keeps addresses, replaces them as a whole, and gives none for what is no such file", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "deep", "peers.json")
      const peers = peersFile(path)
      assert.deepEqual(peers.load(), [])
      peers.save(["ws://a:1", "ws://b:2"])
      peers.save(["ws://b:2"])
      assert.deepEqual(peersFile(path).load(), ["ws://b:2"])
      assert.deepEqual(readdirSync(join(at, "deep")), ["peers.json"])
      for (const content of ["", "{}", '[1, "", null, "ws://c:3"]', "[".repeat(1e6)]) {
        writeFileSync(path, content)
        assert.deepEqual(peers.load(), content.startsWith("[1") ? ["ws://c:3"] : [])
      }
      peersFile(join(path, "under-a-file")).save(["ws://a:1"])
    })
  )
})

describe("who starts when every directory is gone", () => {
  it.scoped("finds the swarm, as client or server, through peers of an earlier time", () =>
    Effect.gen(function* () {
      const first = yield* makePeer(fresh("first"))
      first.directory.setOwn(announcement(first.peer))
      const addresses = [first.address]
      const server = yield* makePeer(fresh("server"))
      const joined = yield* makeBootstrap(server.network, { addresses })
      server.directory.setOwn(announcement(server.peer))
      yield* joined.announce(announcement(server.peer))

      const memory = peersFile(join(yield* folder, "peers.json"))
      const early = yield* makeBootstrap(yield* makeClient(fresh("early")), { addresses, memory })
      yield* early.refresh
      assert.sameMembers([...memory.load()], [first.address, server.address])
      yield* first.kill
      yield* pass(60)

      const late = yield* makeBootstrap(yield* makeClient(fresh("late")), { addresses, memory })
      yield* late.refresh
      assert.deepEqual(
        late.known().map(({ peer }) => peer),
        [server.peer]
      )
      const newcomer = yield* makePeer(fresh("newcomer"))
      const joining = yield* makeBootstrap(newcomer.network, { addresses, memory })
      yield* joining.announce(announcement(newcomer.peer))
      yield* joining.refresh
      yield* pass(2)
      assert.strictEqual(server.directory.size, 1)
      const without = yield* makeBootstrap(yield* makeClient(fresh("without")), { addresses })
      assert.strictEqual((yield* Effect.flip(without.refresh))._tag, "DiscoveryError")
    })
  )
})
