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

  it("says when a failed peer may be tried in need: the base ban after the last failure", () => {
    const bans = makeBans()
    bans.failed("a", "gone", 0)
    bans.failed("a", "gone", 6)
    assert.deepEqual(bans.of("a", 8), { kind: "failed", detail: "gone", seconds: 8, strictSeconds: 3 })
    assert.strictEqual(bans.of("a", 12)?.strictSeconds, 0)
    bans.failed("a", "gone again", 12)
    assert.deepEqual(bans.of("a", 12), { kind: "failed", detail: "gone again", seconds: 20, strictSeconds: 5 })
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
