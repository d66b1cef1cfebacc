import { elsewhere } from "@swarm/protocol"
import { assert, describe, it } from "vitest"
import { feed, HIDDEN, rowsAt, sessionOf, stepOf } from "./support.ts"

const never = () => assert.fail("decoded in vain")

describe("Session.accept", () => {
  it("takes steps that follow each other, whole", () => {
    const session = sessionOf()
    assert.isUndefined(feed(session, 0, 3))
    assert.isUndefined(feed(session, 3, 1, { want: "all" }))
    assert.deepInclude(session.take(64), { position: 0, tokens: 3, x: rowsAt(0, 3), want: "last" })
    assert.isTrue(session.finish(3))
    assert.deepInclude(session.take(64), { position: 3, tokens: 1, x: rowsAt(3, 1), want: "all" })
    assert.isTrue(session.finish(1))
    assert.strictEqual(session.position(), 4)
    assert.isUndefined(session.take(64))
  })

  it("refuses a step that leaves a gap, and says what is next", () => {
    const session = sessionOf()
    feed(session, 0, 3)
    const fault = session.accept(stepOf(4, 1), never, 0)
    assert.deepInclude(fault, { kind: "elsewhere", code: "gap", position: 3 })
    session.take(64)
    session.finish(3)
    assert.deepInclude(feed(session, 9, 1), { code: "gap", position: 3 })
    // a refusal leaves everything as it was
    assert.isUndefined(feed(session, 3, 1))
  })

  it("ignores a step that comes again: waiting, under way, or computed", () => {
    const session = sessionOf()
    feed(session, 0, 3)
    const again = () => session.accept(stepOf(0, 3), never, 0)
    assert.isUndefined(again())
    session.take(64)
    assert.isUndefined(again())
    session.finish(3)
    assert.isUndefined(again())
    assert.strictEqual(session.ready(), 0)
    assert.strictEqual(session.position(), 3)
  })

  it("takes only the new rows of a step that overlaps", () => {
    const session = sessionOf()
    feed(session, 0, 3)
    session.take(64)
    assert.isUndefined(feed(session, 1, 4))
    session.finish(3)
    const work = session.take(64)
    assert.deepInclude(work, { position: 3, tokens: 2 })
    assert.deepStrictEqual([...(work?.x ?? [])], [...rowsAt(3, 2)])
  })

  it("drops frames of other epochs", () => {
    const session = sessionOf()
    for (const epoch of [0, 2]) assert.isUndefined(session.accept(stepOf(0, 1, { epoch }), never, 0))
    assert.strictEqual(session.ready(), 0)
  })

  it("refuses tokens beyond what was reserved", () => {
    const session = sessionOf({ maxTokens: 4 })
    assert.isUndefined(feed(session, 0, 4))
    assert.deepInclude(session.accept(stepOf(4, 1), never, 0), { kind: "never", code: "too-long" })
    assert.deepInclude(sessionOf({ maxTokens: 4 }).accept(stepOf(0, 5), never, 0), { code: "too-long" })
  })

  it("hands on the fault of rows that cannot be decoded", () => {
    const session = sessionOf()
    const fault = elsewhere("bad-step", "not finite")
    assert.strictEqual(
      session.accept(stepOf(0, 1), () => fault, 0),
      fault
    )
    assert.strictEqual(session.ready(), 0)
  })
})

describe("Session", () => {
  it("cuts what waits into the pieces that a run asks for", () => {
    const session = sessionOf()
    feed(session, 0, 7)
    const seen: Array<number> = []
    for (let work = session.take(3); work !== undefined; work = session.take(3)) {
      assert.strictEqual(work.x.length, work.tokens * HIDDEN)
      for (let row = 0; row < work.tokens; row++) seen.push(work.x[row * HIDDEN] ?? -1)
      assert.strictEqual(session.ready(), 0, "one run at a time")
      assert.isUndefined(session.take(1))
      session.finish(work.tokens)
    }
    assert.deepStrictEqual(seen, [0, 1, 2, 3, 4, 5, 6])
  })

  it("holds: drops what waits, lets a run end, then says its position", async () => {
    const session = sessionOf()
    feed(session, 0, 5)
    session.take(2)
    let position: number | undefined
    const held = session.hold(2).then((at) => {
      position = at
    })
    await Promise.resolve()
    assert.isUndefined(position, "a run is under way")
    assert.isUndefined(feed(session, 5, 1), "of an older epoch: dropped")
    session.finish(2)
    await held
    assert.strictEqual(position, 2)
    assert.strictEqual(session.ready(), 0)
  })

  it("relinks: forgets what is beyond, and goes on in the new epoch", () => {
    const session = sessionOf()
    feed(session, 0, 5)
    session.take(64)
    session.finish(5)
    session.relink(3, { next: { kind: "client" }, sendFrom: 2, journalFrom: -1 }, 2, undefined)
    assert.strictEqual(session.position(), 2)
    assert.isUndefined(feed(session, 2, 1))
    assert.strictEqual(session.ready(), 0, "of the old epoch")
    assert.isUndefined(feed(session, 2, 1, { epoch: 3 }))
    assert.strictEqual(session.ready(), 1)
    session.relink(4, { next: { kind: "client" }, sendFrom: 2, journalFrom: -1 }, 40, undefined)
    assert.strictEqual(session.position(), 2, "it has no more than that")
  })

  it("computes nothing that a failed run lost: the same rows may come again", () => {
    const session = sessionOf()
    feed(session, 0, 2)
    session.take(64)
    session.finish(0)
    assert.strictEqual(session.position(), 0)
    assert.isUndefined(feed(session, 0, 2))
    assert.strictEqual(session.ready(), 2)
  })

  it("that was closed during a run says so at its end", () => {
    const session = sessionOf()
    feed(session, 0, 2)
    session.take(1)
    session.close()
    assert.isTrue(session.isClosed())
    assert.isFalse(session.finish(1))
    assert.strictEqual(session.ready(), 0)
  })
})
