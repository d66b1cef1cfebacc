import { assert, describe, it } from "@effect/vitest"
import { makeBans } from "@swarm/routing"

describe("makeBans()", () => {
  it("doubles the ban from 5 s to 5 min, and success resets it", () => {
    const bans = makeBans()
    let now = 0
    const lengths: Array<number> = []
    for (let failure = 0; failure < 8; failure++) {
      bans.failed("a", "gone", now)
      const seconds = bans.of("a", now)?.seconds ?? 0
      lengths.push(seconds)
      now += seconds
      assert.isUndefined(bans.of("a", now))
    }
    assert.deepEqual(lengths, [5, 10, 20, 40, 80, 160, 300, 300])
    bans.ok("a")
    bans.failed("a", "gone", now)
    assert.strictEqual(bans.of("a", now)?.seconds, 5)
  })

  it("counts failures that many sessions see at once as one", () => {
    const bans = makeBans()
    for (let session = 0; session < 8; session++) bans.failed("a", "gone", session / 10)
    assert.strictEqual(bans.of("a", 1)?.seconds, 4)
  })

  it("says when a failed peer may be tried in need: soon, then later and later", () => {
    const bans = makeBans()
    let now = 0
    const pauses: Array<number> = []
    for (let failure = 0; failure < 7; failure++) {
      bans.failed("a", "gone", now)
      const pause = bans.of("a", now)?.strictSeconds ?? Number.NaN
      bans.failed("a", "gone, as another session sees it", now + pause / 2)
      pauses.push(pause)
      now += pause
      assert.strictEqual(bans.of("a", now)?.strictSeconds, 0)
    }
    assert.deepEqual(pauses, [0.25, 0.5, 1, 2, 4, 5, 5])
    bans.ok("a")
    bans.failed("a", "gone", now)
    assert.strictEqual(bans.of("a", now)?.strictSeconds, 0.25)
  })

  it("lets a busy peer alone for as long as it asked, within limits, and does not count it as a failure", () => {
    const bans = makeBans()
    bans.busy("a", 3, 0)
    assert.deepEqual(bans.of("a", 1), { kind: "busy", detail: "", seconds: 2, strictSeconds: 2 })
    assert.isUndefined(bans.of("a", 3))
    for (const [retryAfter, seconds] of [
      [Number.NaN, 5],
      [-1, 5],
      [0, 5],
      [1e9, 300],
      [Number.POSITIVE_INFINITY, 300]
    ] as const) {
      bans.busy("b", retryAfter, 0)
      assert.strictEqual(bans.of("b", 0)?.seconds, seconds)
    }
    bans.failed("a", "gone", 10)
    assert.strictEqual(bans.of("a", 10)?.seconds, 5)
  })

  it("forgets peers that never come back", () => {
    const bans = makeBans()
    for (let peer = 0; peer < 100_000; peer++) bans.failed(`peer-${peer}`, "gone", peer)
    assert.isAtMost(bans.size(), 2048)
  })
})
