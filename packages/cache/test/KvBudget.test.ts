import { assert, describe, it } from "@effect/vitest"
import type { KvBudget, Reservation } from "@swarm/cache"
import { makeKvBudget } from "@swarm/cache"
import { FastCheck } from "effect"

const reserve = (budget: KvBudget, session: string, tokens: number, now: number): Reservation => {
  const reservation = budget.reserve(session, tokens, now)
  if (reservation === "full") throw new Error(`No room for ${session}`)
  return reservation
}

describe("makeKvBudget()", () => {
  it("never gives more than there is, whatever is reserved and freed", () => {
    const steps = FastCheck.array(FastCheck.tuple(FastCheck.integer({ min: 1, max: 400 }), FastCheck.boolean()))
    FastCheck.assert(
      FastCheck.property(steps, (sequence) => {
        const budget = makeKvBudget({ bytesPerToken: 7, totalBytes: 7007 })
        const held: Array<Reservation> = []
        for (const [now, [tokens, free]] of sequence.entries()) {
          if (free) {
            const first = held.shift()
            if (first !== undefined) assert.isTrue(budget.free(first, now))
          } else {
            const before = budget.freeTokens()
            const reservation = budget.reserve("s", tokens, now)
            assert.strictEqual(reservation === "full", tokens > before)
            if (reservation !== "full") held.push(reservation)
          }
          const used = held.reduce((sum, { tokens }) => sum + tokens, 0)
          assert.strictEqual(budget.freeTokens(), 1001 - used)
          assert.strictEqual(budget.usedBytes(), 7 * used)
          assert.strictEqual(budget.sessions(), held.length)
        }
      })
    )
  })

  it("frees once", () => {
    const budget = makeKvBudget({ bytesPerToken: 1, totalBytes: 100 })
    const reservation = reserve(budget, "a", 60, 0)
    assert.isTrue(budget.free(reservation, 1))
    assert.isFalse(budget.free(reservation, 2))
    assert.strictEqual(budget.freeTokens(), 100)
  })

  it("lists what was not touched, longest idle first", () => {
    const budget = makeKvBudget({ bytesPerToken: 1, totalBytes: 100, idleSeconds: 10 })
    const [a, b, c] = [reserve(budget, "a", 1, 0), reserve(budget, "b", 1, 1), reserve(budget, "c", 1, 2)]
    budget.touch(a, 5)
    assert.deepEqual(budget.expired(10), [])
    assert.deepEqual(budget.expired(11), [b])
    assert.deepEqual(budget.expired(15), [b, c, a])
    budget.free(c, 15)
    budget.touch(c, 15)
    assert.deepEqual(budget.expired(30), [b, a])
  })

  it("estimates the wait by the lifetimes of sessions that ended", () => {
    const budget = makeKvBudget({ bytesPerToken: 1, totalBytes: 100, expectedSeconds: 20 })
    reserve(budget, "a", 100, 0)
    assert.strictEqual(budget.retryAfter(50, 0), 10)
    assert.strictEqual(budget.retryAfter(100, 0), 20)
    assert.strictEqual(budget.retryAfter(101, 0), Number.POSITIVE_INFINITY)
    const quick = makeKvBudget({ bytesPerToken: 1, totalBytes: 100, expectedSeconds: 20 })
    for (let now = 0; now < 40; now += 2) quick.free(reserve(quick, "b", 100, now), now + 2)
    reserve(quick, "c", 100, 50)
    assert.isBelow(quick.retryAfter(100, 50), 2.5)
    assert.strictEqual(quick.retryAfter(1, 50), 1)
  })

  it("does not promise a longer wait than until the next expiry", () => {
    const budget = makeKvBudget({ bytesPerToken: 1, totalBytes: 100, expectedSeconds: 50, idleSeconds: 10 })
    reserve(budget, "a", 100, 0)
    assert.strictEqual(budget.retryAfter(100, 7), 3)
    assert.strictEqual(budget.retryAfter(100, 1000), 1)
  })

  it("has room for whole tokens only", () => {
    const budget = makeKvBudget({ bytesPerToken: 30, totalBytes: 100 })
    assert.strictEqual(budget.capacityTokens, 3)
    assert.strictEqual(budget.reserve("a", 4, 0), "full")
  })

  it("throws a RangeError on misuse", () => {
    const budget = makeKvBudget({ bytesPerToken: 30, totalBytes: 100 })
    for (const tokens of [0, -1, 0.5, Number.NaN]) assert.throws(() => budget.reserve("a", tokens, 0), RangeError)
    assert.throws(() => makeKvBudget({ bytesPerToken: 0, totalBytes: 1 }), RangeError)
  })
})
