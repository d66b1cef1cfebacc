import { assert, describe, it } from "@effect/vitest"
import { Directory, type DirectoryOptions } from "@swarm/discovery"
import { type Announcement, decodeFrame, encodeFrame, MAX_ANNOUNCEMENTS, MAX_BODY } from "@swarm/protocol"
import { Effect, TestClock } from "effect"
import { announcement, fresh, makeClient, makePeer } from "./support.ts"

const make = (options: DirectoryOptions = {}) => {
  const clock = { now: 0 }
  const directory = new Directory({ now: () => clock.now, ...options })
  const announce = (peer: string, fields: Partial<Announcement> = {}, remote = "memory:x") =>
    directory.announce(announcement(peer, fields), { peer, remote })
  return { clock, directory, announce }
}

const peers = (directory: Directory, model = ""): ReadonlyArray<string> => directory.find(model).map(({ peer }) => peer)

/** What a promise is rejected with. */
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (failure: unknown) => failure
  )

describe("Directory", () => {
  it("forgets a peer when its time to live is over, and says what is left of it", () => {
    const { clock, directory, announce } = make()
    announce("a", { timeToLive: 30 })
    clock.now = 10
    assert.strictEqual(directory.find("")[0]?.timeToLive, 20)
    clock.now = 29.9
    assert.deepEqual(peers(directory), ["a"])
    clock.now = 30
    assert.deepEqual(peers(directory), [])
    assert.strictEqual(directory.size, 0)
  })

  it("replaces what a peer announced before, also by a shorter life, and takes it back at 0", () => {
    const { clock, directory, announce } = make()
    announce("a", { timeToLive: 30, freeTokens: 1 })
    announce("a", { timeToLive: 5, freeTokens: 2 })
    assert.deepEqual(
      directory.find("").map(({ freeTokens }) => freeTokens),
      [2]
    )
    clock.now = 6
    assert.deepEqual(peers(directory), [])
    announce("a")
    assert.isUndefined(announce("a", { timeToLive: 0 }))
    assert.deepEqual(peers(directory), [])
  })

  it("refuses one who speaks for another peer", () => {
    const { directory, announce } = make()
    announce("a", { freeTokens: 1 })
    const fault = directory.announce(announcement("a", { freeTokens: 2 }), { peer: "liar", remote: "memory:x" })
    assert.deepInclude(fault, { kind: "never", code: "protocol" })
    assert.strictEqual(directory.find("")[0]?.freeTokens, 1)
    assert.deepInclude(directory.counts, { accepted: 1, refusedIdentity: 1 })
  })

  it("cuts lifetimes and addresses that are too long", () => {
    const { clock, directory, announce } = make({ maxTimeToLive: 60, maxAddresses: 2 })
    announce("a", { timeToLive: 1e6, addresses: ["memory:1", "memory:2", "memory:3"] })
    assert.deepInclude(directory.find("")[0], { timeToLive: 60, addresses: ["memory:1", "memory:2"] })
    clock.now = 60
    assert.deepEqual(peers(directory), [])
  })

  it("refuses texts that are too long", () => {
    const { directory, announce } = make()
    assert.deepInclude(announce("a", { modelName: "x".repeat(5000) }), { kind: "never", code: "protocol" })
    assert.strictEqual(directory.counts.refusedSize, 1)
    assert.strictEqual(directory.size, 0)
  })

  it("refuses newcomers when it is full, until an entry expires, and still takes those it knows", () => {
    const { clock, directory, announce } = make({ maxEntries: 2 })
    announce("a", { timeToLive: 10 })
    announce("b", { timeToLive: 20 })
    const fault = announce("c")
    assert.deepInclude(fault, { kind: "later", code: "overloaded" })
    assert.isAbove(fault?.retryAfter ?? 0, 0)
    assert.isUndefined(announce("b", { timeToLive: 30 }))
    clock.now = 11
    assert.isUndefined(announce("c"))
    assert.sameMembers([...peers(directory)], ["b", "c"])
    assert.deepInclude(directory.counts, { accepted: 4, refusedFull: 1 })
  })

  it("answers with itself first, then with others of the model", () => {
    const { directory, announce } = make()
    directory.setOwn(announcement("self"))
    announce("a")
    announce("b", { model: "n" })
    assert.strictEqual(peers(directory)[0], "self")
    assert.sameMembers([...peers(directory)], ["self", "a", "b"])
    assert.deepEqual(peers(directory, "m"), ["self", "a"])
    assert.deepEqual(peers(directory, "n"), ["b"])
    assert.deepEqual(peers(directory, "o"), [])
    directory.setOwn(undefined)
    assert.deepEqual(peers(directory, "m"), ["a"])
  })

  it("passes on what was learned elsewhere, unless the peer says otherwise here", () => {
    const learned = [announcement("self", { freeTokens: 9 }), announcement("a", { freeTokens: 9 }), announcement("b")]
    const { directory, announce } = make({ learned: () => learned })
    directory.setOwn(announcement("self", { freeTokens: 1 }))
    announce("a", { freeTokens: 2 })
    const found = Object.fromEntries(directory.find("m").map(({ peer, freeTokens }) => [peer, freeTokens]))
    assert.deepEqual(found, { self: 1, a: 2, b: 4096 })
  })

  it("gives addresses at which the announcer was seen", () => {
    const { directory, announce } = make()
    announce("a", { addresses: ["ws://0.0.0.0:4000", "ws://127.0.0.1:4000"] }, "ws://10.0.0.7:55555")
    assert.deepEqual(directory.find("")[0]?.addresses, ["ws://10.0.0.7:4000"])
    announce("a", { addresses: ["ws://127.0.0.1:4000"] }, "ws://127.0.0.1:55555")
    assert.deepEqual(directory.find("")[0]?.addresses, ["ws://127.0.0.1:4000"])
  })

  it("answers with a random choice that fits in a frame, whatever is announced", () => {
    const { directory, announce } = make()
    const addresses = Array.from({ length: 8 }, (_, i) => `ws://${"\u4e16".repeat(420)}${i}:4000`)
    for (let i = 0; i < 1500; i++) announce(`peer-${i}`, { addresses })
    directory.setOwn(announcement("self"))
    const seen = new Set<string>()
    for (let round = 0; round < 100; round++) {
      const found = directory.find("")
      assert.strictEqual(found[0]?.peer, "self")
      for (const { peer } of found) seen.add(peer)
    }
    const frame = encodeFrame("found", 1, { announcements: directory.find("") })
    assert.isAtMost(frame.length, MAX_BODY + 64)
    assert.isAbove(seen.size, 1000)
    const small = make()
    for (let i = 0; i < 1500; i++) small.announce(`peer-${i}`)
    const found = small.directory.find("")
    assert.strictEqual(found.length, MAX_ANNOUNCEMENTS)
    const decoded = decodeFrame(encodeFrame("found", 1, { announcements: found }))
    assert.deepEqual(decoded.body, { announcements: found })
  })

  it.scoped("answers over a connection; a lie gets the fault", () =>
    Effect.gen(function* () {
      const server = yield* makePeer(fresh("server"))
      const client = yield* makeClient(fresh("client"))
      const connection = yield* client.connect(server.address)
      const told = yield* Effect.promise(() => connection.request("announce", announcement(client.self)))
      assert.strictEqual(told.kind, "ok")
      const found = yield* Effect.promise(() => connection.request("find", { model: "m" }))
      assert.deepEqual(
        found.body.announcements.map(({ peer }) => peer),
        [client.self]
      )
      const failure = yield* Effect.promise(() => rejection(connection.request("announce", announcement("other"))))
      assert.nestedInclude(failure, { _tag: "Fault", "fault.code": "protocol", "fault.kind": "never" })
      assert.isFalse(connection.isClosed())
    })
  )

  it.scoped("puts off a connection that asks too often, and no other", () =>
    Effect.gen(function* () {
      const server = yield* makePeer(fresh("server"), { maxRequestsPerSecond: 3 })
      const client = yield* makeClient(fresh("client"))
      const other = yield* makeClient(fresh("other"))
      const connection = yield* client.connect(server.address)
      const find = () => connection.request("find", { model: "" })
      for (let i = 0; i < 3; i++) yield* Effect.promise(find)
      const failure = yield* Effect.promise(() => rejection(find()))
      assert.nestedInclude(failure, { "fault.kind": "later", "fault.code": "overloaded", "fault.retryAfter": 1 })
      const another = yield* other.connect(server.address)
      yield* Effect.promise(() => another.request("find", { model: "" }))
      yield* TestClock.adjust("1 second")
      yield* Effect.promise(find)
      assert.deepInclude(server.directory.counts, { found: 5, refusedRate: 1 })
    })
  )

  it("leaves other frames to others", () => {
    const { directory } = make()
    const frame = decodeFrame(encodeFrame("status", 3, {}))
    const untouchable = new Proxy({}, { get: (_, name) => assert.fail(`touched ${String(name)}`) })
    assert.isFalse(Reflect.apply(directory.handle, directory, [frame, untouchable]))
  })
})
