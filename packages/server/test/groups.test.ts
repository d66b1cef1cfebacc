import { oracleSpan } from "@swarm/testing"
import * as FastCheck from "effect/FastCheck"
import { assert, describe, it } from "vitest"
import { makeGroups } from "../src/groups.ts"
import type { Session } from "../src/Session.ts"
import { HIDDEN, sessionOf } from "./support.ts"

const span = oracleSpan({ from: 0, to: 2, hiddenSize: HIDDEN })
const sessionsOf = (count: number): ReadonlyArray<Session> =>
  Array.from({ length: count }, (_, index) => sessionOf({ name: `s${index}`, span, maxTokens: 16 }))

/** Lets groups follow each other through a server, cutting and joining them as it says; gives their sizes in the end. */
const settle = (sizes: ReadonlyArray<number>, hops: number): ReadonlyArray<number> => {
  const groups = makeGroups(hops)
  const sessions = sessionsOf(sizes.reduce((sum, size) => sum + size, 0))
  const left = [...sessions]
  const queue: Array<ReadonlyArray<Session>> = sizes.map((size) => left.splice(0, size))
  for (let run = 0; run < 200; run++) {
    let group = queue.shift() as ReadonlyArray<Session>
    const first = group[0] as Session
    if (groups.patience(first, group.length, run * 10) > 0) group = [...group, ...(queue.shift() ?? [])]
    const share = groups.share(first)
    // who does not fit stays first in the queue
    if (group.length > share) queue.unshift(group.slice(share))
    groups.ran(group.slice(0, share), run * 10)
    queue.push(group.slice(0, share))
  }
  return queue.map(({ length }) => length).sort()
}

describe("makeGroups", () => {
  it("cuts and joins groups until each server of the chain can have one", () => {
    assert.deepStrictEqual(settle([8], 3), [4, 4])
    assert.deepStrictEqual(settle([1, 7], 3), [4, 4])
    assert.deepStrictEqual(settle([1, 1, 1, 1, 1, 1, 1, 1], 3), [4, 4])
    assert.deepStrictEqual(settle([3, 5], 2), [4, 4])
    assert.deepStrictEqual(settle([6], 3), [2, 2, 2])
    assert.deepStrictEqual(settle([1, 1], 3), [2])
    assert.deepStrictEqual(settle([1], 3), [1])
  })

  it("never leaves more groups than shares, nor a group above its share", () => {
    const cases = FastCheck.record({
      sizes: FastCheck.array(FastCheck.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 }),
      hops: FastCheck.integer({ min: 2, max: 6 })
    })
    FastCheck.assert(
      FastCheck.property(cases, ({ sizes, hops }) => {
        const total = sizes.reduce((sum, size) => sum + size, 0)
        let share = 2
        while (share < total / hops) share *= 2
        const settled = settle(sizes, hops)
        assert.isAtMost(Math.max(...settled), share)
        assert.isAtMost(settled.length, Math.ceil(total / share) + 1, `${settled}`)
      })
    )
  })

  it("waits ever less often if nobody comes", () => {
    const groups = makeGroups(2)
    const sessions = sessionsOf(4)
    const waits: Array<number> = []
    for (let run = 0; run < 2000; run++) {
      const session = sessions[run % 4] as Session
      if (groups.patience(session, 1, run * 10) > 0) waits.push(run)
      groups.ran([session], run * 10)
    }
    assert.isAtLeast(waits.length, 2)
    assert.isAtMost(waits.length, 12)
  })

  it("forgets sessions that are closed or have stopped", () => {
    const groups = makeGroups(2)
    const sessions = sessionsOf(16)
    const [first, second] = sessions as [Session, Session]
    groups.ran(sessions, 0)
    assert.strictEqual(groups.share(first), 8)
    for (const session of sessions.slice(4)) session.close()
    assert.strictEqual(groups.share(first), 2)
    groups.ran([second], 1)
    groups.ran([first], 2)
    groups.ran([second], 3)
    assert.strictEqual(groups.share(first), 2)
  })
})
