import { assert, describe, it } from "@effect/vitest"
import { LEAST_BYTES, lineRate } from "../src/lineRate.ts"

describe("lineRate()", () => {
  it("takes the round trip off, and never divides by nothing", () => {
    assert.strictEqual(lineRate(1e6, 1.25, 0.25), 1e6)
    assert.strictEqual(lineRate(1e6, 0.2, 0.25), 1e9)
  })

  it("says nothing of few bytes, or of times that are none", () => {
    assert.isUndefined(lineRate(LEAST_BYTES - 1, 1, 0))
    for (const nonsense of [Number.NaN, -1]) {
      assert.isUndefined(lineRate(1e6, nonsense, 0))
      assert.isUndefined(lineRate(1e6, 1, nonsense))
    }
  })
})
