import { afterEach, assert, beforeEach, describe, it, vi } from "vitest"
import { Deadlines, inSeconds, SWEEP_MILLIS } from "../src/internal/Deadlines.ts"

describe("Deadlines", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("expire each once, at the sweep after its time, with one timer that ends with the last", () => {
    const deadlines = new Deadlines()
    const expired: Array<string> = []
    assert.strictEqual(vi.getTimerCount(), 0)
    for (let i = 0; i < 1000; i++) deadlines.add({ at: inSeconds(1), expire: () => expired.push("a") })
    const dropped = { at: inSeconds(0.1), expire: () => assert.fail("it was taken out") }
    deadlines.add(dropped)
    deadlines.add({ at: inSeconds(2), expire: () => expired.push("b") })
    deadlines.delete(dropped)
    assert.strictEqual(vi.getTimerCount(), 1)
    vi.advanceTimersByTime(999)
    assert.deepStrictEqual(expired, [])
    vi.advanceTimersByTime(SWEEP_MILLIS)
    assert.strictEqual(expired.length, 1000)
    vi.advanceTimersByTime(1000 + SWEEP_MILLIS)
    assert.strictEqual(expired.length, 1001)
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("never expire what has no time, and stop when it is taken out", () => {
    const deadlines = new Deadlines()
    const endless = { at: Number.POSITIVE_INFINITY, expire: () => assert.fail("it expired") }
    deadlines.add(endless)
    vi.advanceTimersByTime(1e6)
    assert.strictEqual(deadlines.size, 1)
    deadlines.delete(endless)
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("let one that expires take out and add others", () => {
    const deadlines = new Deadlines()
    const second = { at: inSeconds(0.01), expire: () => assert.fail("the first took it out") }
    let again = 0
    deadlines.add({
      at: inSeconds(0.01),
      expire: () => {
        deadlines.delete(second)
        deadlines.add({ at: inSeconds(0.2), expire: () => again++ })
      }
    })
    deadlines.add(second)
    vi.advanceTimersByTime(1000)
    assert.strictEqual(again, 1)
    assert.strictEqual(vi.getTimerCount(), 0)
  })
})
