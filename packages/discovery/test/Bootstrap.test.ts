import { assert, describe, it } from "@effect/vitest"
import { Discovery, layerBootstrap, makeBootstrap, type Service } from "@swarm/discovery"
import { layerMemory, layerNetwork } from "@swarm/transport"
import { Effect, Layer, Scope } from "effect"
import { announcement, fresh, idOf, makeClient, makePeer, type Peer, pass, read, settle } from "./support.ts"

/** A server that announces itself and answers for itself, as real ones do. */
const join = (peer: Peer, addresses: ReadonlyArray<string>, model = "m") =>
  Effect.gen(function* () {
    const discovery = yield* Scope.extend(makeBootstrap(peer.network, { addresses }), peer.scope)
    const own = announcement(peer.peer, { model })
    peer.directory.setOwn(own)
    yield* discovery.announce(own)
    return discovery
  })

const online = (discovery: Service): ReadonlyArray<string> =>
  discovery
    .known()
    .filter(({ state }) => state === "online")
    .map(({ peer }) => peer)
    .sort()

const announces = ({ received }: Peer): number => received.filter((kind) => kind === "announce").length

describe("makeBootstrap()", () => {
  it.scoped("announces to every directory, a third of the lifetime apart", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* makePeer(fresh("first")), yield* makePeer(fresh("second"))]
      yield* join(yield* makePeer(fresh("server")), [first.address, second.address])
      assert.deepEqual([announces(first), announces(second)], [1, 1])
      yield* pass(90)
      for (const directory of [first, second]) {
        assert.isAtLeast(announces(directory), 8)
        assert.isAtMost(announces(directory), 11)
      }
    })
  )

  it.scoped("announces as often as it is told", () =>
    Effect.gen(function* () {
      const directory = yield* makePeer(fresh("directory"))
      const network = yield* makeClient(fresh("server"))
      const discovery = yield* makeBootstrap(network, { addresses: [directory.address], announceEverySeconds: 2 })
      yield* discovery.announce(announcement(network.self))
      yield* pass(20)
      // Every 1.8 to 2.2 s, seen by a clock that moves by whole seconds: every 2 or 3 s
      assert.isAtLeast(announces(directory), 7)
      assert.isAtMost(announces(directory), 11)
    })
  )

  it.scoped("tries a directory that is not there again and again, less often each time", () =>
    Effect.gen(function* () {
      const server = yield* makePeer(fresh("server"))
      const address = `memory:${fresh("late")}`
      const discovery = yield* join(server, [address])
      yield* pass(40)
      const directory = yield* makePeer(fresh("late"), {}, address)
      yield* pass(11)
      assert.isAtLeast(announces(directory), 1)
      assert.isAtMost(announces(directory), 2)
      assert.deepEqual(
        read(directory.directory.find("")).map(({ peer }) => peer),
        [server.peer]
      )
      yield* discovery.refresh
    })
  )

  it.scoped("goes on after a directory was away", () =>
    Effect.gen(function* () {
      const address = `memory:${fresh("directory")}`
      const server = yield* makePeer(fresh("server"))
      const before = yield* makePeer(fresh("before"), {}, address)
      yield* join(server, [address])
      yield* pass(5)
      yield* before.kill
      yield* pass(60)
      const after = yield* makePeer(fresh("after"), {}, address)
      yield* pass(11)
      assert.strictEqual(after.directory.size, 1)
    })
  )

  it.scoped("stops when the scope closes, and when it withdraws", () =>
    Effect.gen(function* () {
      const directory = yield* makePeer(fresh("directory"))
      const [a, b] = [yield* makePeer(fresh("a")), yield* makePeer(fresh("b"))]
      yield* join(a, [directory.address])
      const discovery = yield* join(b, [directory.address])
      yield* a.kill
      yield* discovery.withdraw
      const before = announces(directory)
      assert.deepEqual(
        read(directory.directory.find(""))
          .map(({ peer, state }) => [peer, state])
          .sort(([, one = ""], [, other = ""]) => (one > other ? -1 : 1)),
        [
          [a.peer, "online"],
          [b.peer, "offline"]
        ]
      )
      yield* pass(60)
      assert.strictEqual(announces(directory), before)
      assert.deepEqual(directory.directory.find(""), [])
    })
  )

  it.scoped("needs no address for the first server of a swarm", () =>
    Effect.gen(function* () {
      const first = yield* makePeer(fresh("first"))
      const discovery = yield* join(first, [])
      const error = yield* Effect.flip(discovery.refresh)
      assert.include(error.message, "no address is given")
      const second = yield* join(yield* makePeer(fresh("second")), [first.address])
      yield* second.refresh
      assert.deepEqual(online(second), [first.peer])
    })
  )

  it.scoped("keeps the swarm together when its first server dies: others stand in", () =>
    Effect.gen(function* () {
      const first = yield* makePeer(fresh("first"))
      yield* join(first, [])
      const servers: Array<Peer> = []
      for (let i = 0; i < 4; i++) {
        const server = yield* makePeer(fresh(`server-${i}`))
        servers.push(server)
        yield* join(server, [first.address])
      }
      const client = yield* makeBootstrap(yield* makeClient(fresh("client")), {
        addresses: [first.address],
        model: "m"
      })
      yield* client.refresh
      assert.strictEqual(online(client).length, 5)
      yield* pass(15)
      yield* first.kill
      const alive = servers.map(({ peer }) => peer).sort()
      // Nobody asks meanwhile: everything that the client knew has expired
      yield* pass(45)
      yield* client.refresh
      assert.deepEqual(online(client), alive)
      yield* pass(25)
      assert.deepEqual(online(client), alive)
    })
  )

  it.scoped("announces what it was told last, also if it is told in quick succession", () =>
    Effect.gen(function* () {
      const directory = yield* makePeer(fresh("directory"))
      const network = yield* makeClient(fresh("server"))
      const discovery = yield* makeBootstrap(network, { addresses: [directory.address] })
      yield* Effect.forEach(
        Array.from({ length: 10 }, (_, sessions) => sessions),
        (sessions) => discovery.announce(announcement(network.self, { sessions })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(read(directory.directory.find(""))[0]?.sessions, 9)
      yield* pass(15)
      assert.strictEqual(read(directory.directory.find(""))[0]?.sessions, 9)
    })
  )

  it.scoped("lives with a directory that refuses", () =>
    Effect.gen(function* () {
      const directory = yield* makePeer(fresh("directory"))
      const network = yield* makeClient(fresh("liar"))
      const discovery = yield* makeBootstrap(network, { addresses: [directory.address] })
      yield* discovery.announce(announcement(idOf("somebody-else")))
      yield* pass(60)
      yield* settle
      assert.deepEqual(directory.directory.find(""), [])
      assert.isAtMost(announces(directory), 17)
      assert.strictEqual(directory.directory.counts.refused.forged, announces(directory))
    })
  )
})

describe("layerBootstrap()", () => {
  it.effect("is discovery over a network", () =>
    Effect.gen(function* () {
      const discovery = yield* Discovery
      yield* discovery.announce(announcement(idOf("server")))
      yield* discovery.withdraw
      assert.deepEqual(discovery.known(), [])
    }).pipe(
      Effect.provide(
        layerBootstrap({ addresses: ["memory:nowhere"] }).pipe(
          Layer.provide(layerNetwork({ software: "test" })),
          Layer.provide(layerMemory)
        )
      )
    )
  )
})
