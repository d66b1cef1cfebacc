import { assert, describe, it } from "@effect/vitest"
import { Directory, type DirectoryOptions, type Heard, signAnnouncement } from "@swarm/discovery"
import { type Announcement, decodeFrame, encodeFrame, encodeRecord, MAX_BODY } from "@swarm/protocol"
import { Effect, TestClock } from "effect"
import { announcement, fresh, idOf, makeClient, makePeer, named, read, signedBy } from "./support.ts"

const make = (options: DirectoryOptions = {}) => {
  const clock = { now: 0 }
  const directory = new Directory(
    { identity: named("self"), membership: undefined },
    { now: () => clock.now, ...options }
  )
  const announce = (name: string, fields: Partial<Announcement> = {}, remote = "memory:x") =>
    directory.announce(signedBy(name, fields, clock.now).record, { peer: idOf(name), remote })
  return { clock, directory, announce }
}

/** Names of the peers that were found. */
const names = (directory: Directory, model = ""): ReadonlyArray<string> =>
  read(directory.find(model)).map(({ modelName }) => modelName)

/** Something that another directory told. */
const heard = (name: string, fields: Partial<Announcement> = {}, now = 0): Heard => ({
  announcement: announcement(idOf(name), { modelName: name, ...fields }),
  record: encodeRecord(announcement(idOf(name), { modelName: name, ...fields }), now * 1000, named(name)),
  issuedAt: now * 1000,
  age: 0
})

/** What a promise is rejected with. */
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (failure: unknown) => failure
  )

describe("Directory", () => {
  it("forgets a peer when its time to live is over, and says how old an announcement is", () => {
    const { clock, directory, announce } = make()
    announce("a", { timeToLive: 30, modelName: "a" })
    clock.now = 10
    assert.strictEqual(directory.find("")[0]?.age, 10)
    clock.now = 29.9
    assert.deepEqual(names(directory), ["a"])
    clock.now = 30
    assert.deepEqual(names(directory), [])
    assert.strictEqual(directory.size, 0)
  })

  it("replaces what a peer announced before, also by a shorter life, and takes it back at 0 or when it goes offline", () => {
    const { clock, directory, announce } = make()
    announce("a", { timeToLive: 30, freeTokens: 1 })
    announce("a", { timeToLive: 5, freeTokens: 2 })
    assert.deepEqual(
      read(directory.find("")).map(({ freeTokens }) => freeTokens),
      [2]
    )
    clock.now = 6
    assert.strictEqual(directory.size, 0)
    announce("a")
    assert.strictEqual(directory.size, 1)
    assert.isUndefined(announce("a", { timeToLive: 0 }))
    assert.strictEqual(directory.size, 0)
    announce("a")
    assert.isUndefined(announce("a", { state: "offline" }))
    assert.strictEqual(directory.size, 0)
  })

  it("cuts lifetimes that are too long", () => {
    const { clock, directory, announce } = make({ maxTimeToLive: 60 })
    announce("a", { timeToLive: 1e6 })
    clock.now = 59
    assert.strictEqual(directory.size, 1)
    clock.now = 60
    assert.strictEqual(directory.size, 0)
  })

  it("refuses newcomers when it is full, until an entry expires, and still takes those it knows", () => {
    const { clock, directory, announce } = make({ maxEntries: 2 })
    announce("a", { timeToLive: 10, modelName: "a" })
    announce("b", { timeToLive: 20, modelName: "b" })
    const fault = announce("c")
    assert.deepInclude(fault, { kind: "later", code: "overloaded" })
    assert.isAbove(fault?.retryAfter ?? 0, 0)
    assert.isUndefined(announce("b", { timeToLive: 30, modelName: "b" }))
    clock.now = 11
    assert.isUndefined(announce("c", { modelName: "c" }))
    assert.sameMembers([...names(directory)], ["b", "c"])
    assert.strictEqual(directory.counts.accepted, 4)
    assert.strictEqual(directory.counts.refused.full, 1)
  })

  it("answers with itself first, then with others of the model", () => {
    const { directory, announce } = make()
    directory.setOwn(announcement(idOf("self"), { modelName: "self" }))
    announce("a", { modelName: "a" })
    announce("b", { model: "n", modelName: "b" })
    assert.strictEqual(names(directory)[0], "self")
    assert.sameMembers([...names(directory)], ["self", "a", "b"])
    assert.deepEqual(names(directory, "m"), ["self", "a"])
    assert.deepEqual(names(directory, "n"), ["b"])
    assert.deepEqual(names(directory, "o"), [])
    directory.setOwn(undefined)
    assert.deepEqual(names(directory, "m"), ["a"])
  })

  it("passes on what was learned elsewhere, unless the peer said something newer here, or goodbye", () => {
    const learned = [heard("self"), heard("a"), heard("b", {}, 1.5), heard("c"), heard("gone")]
    const { clock, directory, announce } = make({ learned: () => learned })
    clock.now = 1
    directory.setOwn(announcement(idOf("self"), { modelName: "self", freeTokens: 1 }))
    announce("a", { modelName: "a", freeTokens: 2 })
    announce("b", { modelName: "b", freeTokens: 2 })
    announce("gone", { modelName: "gone", state: "offline" })
    const found = read(directory.find("m"))
    assert.deepEqual(Object.fromEntries(found.map(({ modelName, freeTokens }) => [modelName, freeTokens])), {
      self: 1,
      a: 2,
      b: 4096,
      c: 4096,
      gone: 4096
    })
    assert.strictEqual(found.find(({ modelName }) => modelName === "gone")?.state, "offline")
  })

  it("says where the announcer was seen", () => {
    const { directory, announce } = make()
    announce("a", { addresses: ["ws://0.0.0.0:4000"] }, "ws://10.0.0.7:55555")
    assert.strictEqual(directory.find("")[0]?.seen, "10.0.0.7")
    announce("a", { addresses: ["memory:a"] }, "memory:a")
    assert.isUndefined(directory.find("")[0]?.seen)
  })

  it("answers with a random choice that fits in a frame, whatever is announced", () => {
    const { directory, announce } = make()
    const addresses = Array.from({ length: 8 }, (_, i) => `ws://${"\u4e16".repeat(130)}${i}:4000`)
    for (let i = 0; i < 500; i++) announce(`peer-${i}`, { addresses })
    directory.setOwn(announcement(idOf("self")))
    const seen = new Set<string>()
    for (let round = 0; round < 30; round++) {
      const found = directory.find("")
      assert.strictEqual(read(found.slice(0, 1))[0]?.peer, idOf("self"))
      for (const { record } of found) seen.add(Buffer.from(record.subarray(0, 65)).toString("latin1"))
    }
    const frame = encodeFrame("found", 1, { announcements: directory.find("") })
    assert.isAtMost(frame.length, MAX_BODY + 64)
    assert.isAbove(seen.size, 450)
    const small = make({ maxFound: 100 })
    for (let i = 0; i < 200; i++) small.announce(`peer-${i}`)
    const found = small.directory.find("")
    assert.strictEqual(found.length, 100)
    const decoded = decodeFrame(encodeFrame("found", 1, { announcements: found }))
    assert.deepEqual(decoded.body, { announcements: found })
  })

  it.scoped("answers over a connection; a lie gets the fault", () =>
    Effect.gen(function* () {
      const server = yield* makePeer(fresh("server"))
      const client = yield* makeClient(fresh("client"))
      const connection = yield* client.connect(server.address)
      const told = yield* Effect.promise(() =>
        connection.request("announce", signAnnouncement(client, announcement(client.self), 0))
      )
      assert.strictEqual(told.kind, "ok")
      const found = yield* Effect.promise(() => connection.request("find", { model: "m" }))
      assert.deepEqual(
        read(found.body.announcements).map(({ peer }) => peer),
        [client.self]
      )
      const failure = yield* Effect.promise(() => rejection(connection.request("announce", signedBy("other"))))
      assert.nestedInclude(failure, { _tag: "Fault", "fault.code": "unauthorized", "fault.kind": "never" })
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
      assert.deepInclude(server.directory.counts, { found: 5, putOff: 1 })
    })
  )

  it("leaves other frames to others", () => {
    const { directory } = make()
    const frame = decodeFrame(encodeFrame("status", 3, {}))
    const untouchable = new Proxy({}, { get: (_, name) => assert.fail(`touched ${String(name)}`) })
    assert.isFalse(Reflect.apply(directory.handle, directory, [frame, untouchable]))
  })
})
