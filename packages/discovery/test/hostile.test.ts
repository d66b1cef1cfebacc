/**
 * Announcements that nobody should believe: each is refused, counted, and changes nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Directory, makeStatic, type RefusalReason, signAnnouncement } from "@swarm/discovery"
import {
  type Membership,
  makeIdentity,
  makeInvite,
  makeMembership,
  readInvite,
  type Scope,
  signRevocations
} from "@swarm/identity"
import { encodeRecord, type Found, MAX_RECORD } from "@swarm/protocol"
import { Effect, TestClock } from "effect"
import { announcement, fresh, idOf, makeClient, makePeer, named, read, settle, signedBy } from "./support.ts"

const NOW = 1_800_000_000
const SKEW = 300

const make = (membership?: Membership) => {
  const clock = { now: NOW }
  const keeper = { identity: named("directory"), membership }
  return { clock, directory: new Directory(keeper, { now: () => clock.now }) }
}

const speaker = (name: string) => ({ peer: idOf(name), remote: "memory:x" })

/** A record of `a` made at `at`, seconds since 1970, whatever was signed before. */
const recordAt = (at: number, fields = {}) => encodeRecord(announcement(idOf("a"), fields), at * 1000, named("a"))

describe("a directory refuses and counts", () => {
  const good = recordAt(NOW)
  const cases: ReadonlyArray<readonly [string, RefusalReason, Uint8Array]> = [
    ["bytes that are no announcement", "malformed", new Uint8Array(500).fill(7)],
    ["nothing", "malformed", new Uint8Array(0)],
    ["one with a changed byte", "forged", good.map((byte, i) => (i === 20 ? byte ^ 1 : byte))],
    ["one that another signed", "forged", encodeRecord(announcement(idOf("a")), NOW * 1000, named("thief"))],
    ["one that is too long", "oversized", new Uint8Array(MAX_RECORD + 1)],
    ["one from the future, beyond what clocks may differ", "future", recordAt(NOW + SKEW + 1)],
    ["one that expired longer ago than clocks may differ", "expired", recordAt(NOW - 30 - SKEW - 1)],
    ["one of endless life that was made long ago", "expired", recordAt(NOW - 600 - SKEW - 1, { timeToLive: 1e7 })]
  ]
  for (const [what, reason, record] of cases) {
    it(what, () => {
      const { directory } = make()
      assert.isDefined(directory.announce(record, speaker("a")))
      assert.strictEqual(directory.counts.refused[reason], 1)
      assert.strictEqual(directory.counts.accepted, 0)
      assert.deepEqual(directory.find(""), [])
    })
  }

  it("one that a peer brings for another", () => {
    const { directory } = make()
    assert.deepInclude(directory.announce(good, speaker("thief")), { kind: "never", code: "unauthorized" })
    assert.strictEqual(directory.counts.refused.identity, 1)
  })

  it("one that was said before, also after the peer said goodbye or its time was over", () => {
    const { clock, directory } = make()
    const [first, second] = [recordAt(NOW), recordAt(NOW + 1)]
    assert.isUndefined(directory.announce(first, speaker("a")))
    assert.isDefined(directory.announce(first, speaker("a")))
    assert.isUndefined(directory.announce(second, speaker("a")))
    assert.isDefined(directory.announce(first, speaker("a")))
    clock.now = NOW + 40
    assert.strictEqual(directory.size, 0)
    assert.isDefined(directory.announce(second, speaker("a")))
    assert.isUndefined(directory.announce(recordAt(NOW + 41, { state: "offline" }), speaker("a")))
    assert.isDefined(directory.announce(second, speaker("a")))
    assert.strictEqual(directory.size, 0)
    assert.strictEqual(directory.counts.refused.replayed, 4)
  })
})

describe("clocks", () => {
  it("may be five minutes behind or ahead: an announcement lives as long as any other", () => {
    for (const difference of [-SKEW, -60, 0, 60, SKEW]) {
      const { clock, directory } = make()
      assert.isUndefined(directory.announce(recordAt(NOW + difference), speaker("a")), `${difference} s`)
      clock.now = NOW + 29
      assert.strictEqual(directory.size, 1, `${difference} s`)
      clock.now = NOW + 31
      assert.strictEqual(directory.size, 0, `${difference} s`)
    }
  })

  it("that go back do not make a peer's announcements old", () => {
    const { directory } = make()
    for (const now of [NOW, NOW - 60, NOW - 200]) {
      assert.isUndefined(directory.announce(signedBy("clock", {}, now).record, speaker("clock")))
    }
  })
})

describe("a private swarm", () => {
  const authority = makeIdentity()
  const member = (name: string, scope: Scope, by = authority, expiresAt = Number.POSITIVE_INFINITY) => {
    const invite = makeInvite(by, scope, expiresAt)
    return { id: readInvite(invite).id, membership: makeMembership({ invite, peer: idOf(name), now: () => NOW }) }
  }

  it("lists only who has an invite to serve that was not revoked", () => {
    const { membership } = member("directory", "serve")
    const { directory } = make(membership)
    const guests = [
      { name: "server", ...member("server", "serve") },
      { name: "user", ...member("user", "use") },
      { name: "other", ...member("other", "serve", makeIdentity()) }
    ]
    for (const { name, membership } of guests) {
      directory.announce(signedBy(name, { modelName: name }, NOW, membership).record, speaker(name))
    }
    directory.announce(signedBy("stranger", {}, NOW).record, speaker("stranger"))
    assert.deepEqual(
      read(directory.find("")).map(({ modelName }) => modelName),
      ["server"]
    )
    assert.strictEqual(directory.counts.refused.unauthorized, 3)
    membership.adopt(signRevocations(authority, [guests[0]?.id ?? ""], 1))
    assert.isDefined(directory.announce(signedBy("server", {}, NOW, guests[0]?.membership).record, speaker("server")))
    assert.strictEqual(directory.counts.refused.unauthorized, 4)
  })
})

describe("a client of a directory that lies", () => {
  /** A directory that answers with whatever it is given. */
  const liar = (found: () => ReadonlyArray<Found>) =>
    Effect.map(makePeer(fresh("liar")), (peer) => {
      peer.directory.find = found
      return peer
    })

  it.scoped("believes what is signed, and counts the rest: the route does not change", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(NOW * 1000)
      const honest = signedBy("honest", { addresses: ["memory:honest"] }, NOW)
      const junk = (i: number): Found => {
        const kinds = [
          new Uint8Array(400).fill(i),
          honest.record.map((byte, at) => (at === 10 ? byte ^ 1 : byte)),
          encodeRecord(announcement(idOf("honest"), { addresses: ["memory:thief"] }), NOW * 1000 + 1, named("thief")),
          new Uint8Array(MAX_RECORD + 1)
        ]
        return { record: kinds[i % 4] ?? new Uint8Array(0), age: 0 }
      }
      const answer = [{ record: honest.record, age: 0 }, ...Array.from({ length: 200 }, (_, i) => junk(i))]
      const peer = yield* liar(() => answer)
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [peer.address] })
      yield* discovery.refresh
      assert.deepEqual(
        discovery.known().map(({ peer, addresses }) => [peer, addresses]),
        [[idOf("honest"), ["memory:honest"]]]
      )
      assert.deepInclude(discovery.refused?.() ?? {}, { malformed: 50, forged: 100, oversized: 50 })
    })
  )

  it.scoped("does not go back to what a peer said before, and not beyond its time", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(NOW * 1000)
      const record = (at: number, freeTokens: number) =>
        encodeRecord(announcement(idOf("a"), { freeTokens }), at * 1000, named("a"))
      let answer = [{ record: record(NOW, 2), age: 0 }]
      const peer = yield* liar(() => answer)
      const discovery = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [peer.address] })
      yield* discovery.refresh
      answer = [{ record: record(NOW - 20, 1), age: 0 }]
      yield* discovery.refresh
      assert.strictEqual(discovery.known()[0]?.freeTokens, 2)
      assert.strictEqual(discovery.refused?.().replayed, 1)
      // the same again and again does not make its life longer
      answer = [{ record: record(NOW, 2), age: 0 }]
      yield* TestClock.adjust("29 seconds")
      yield* settle
      yield* discovery.refresh
      assert.strictEqual(discovery.known().length, 1)
      yield* TestClock.adjust("2 seconds")
      yield* settle
      yield* discovery.refresh
      assert.deepEqual(discovery.known(), [])
    })
  )

  it.scoped("takes no announcement that names itself as somebody else", () =>
    Effect.gen(function* () {
      const client = yield* makeClient(fresh("client"))
      const forged = signAnnouncement(client, announcement(idOf("a")), 0)
      const peer = yield* liar(() => [{ record: forged.record, age: 0 }])
      const discovery = yield* makeStatic(client, { addresses: [peer.address] })
      yield* discovery.refresh
      assert.deepEqual(discovery.known(), [])
    })
  )
})
