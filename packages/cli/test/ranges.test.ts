import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import { UsageError } from "../src/args.ts"
import { listenAt, rangesOf } from "../src/ranges.ts"

describe("rangesOf", () => {
  it("reads one range, several, or auto", () => {
    const read = (said: string) => Effect.runSync(rangesOf(said, 30))
    assert.deepStrictEqual(read("auto"), ["auto"])
    assert.deepStrictEqual(read("0:30"), [{ from: 0, to: 30 }])
    assert.deepStrictEqual(read("0:10, 20:30"), [
      { from: 0, to: 10 },
      { from: 20, to: 30 }
    ])
  })

  for (const said of ["", "3", "3:3", "4:3", "-1:3", "0:31", "0:10,", "0:1e1", "a:b", "0:10;20:30", "0:10,auto"])
    it(`refuses "${said}"`, () => {
      const refusal = Effect.runSync(Effect.flip(rangesOf(said, 30)))
      assert.instanceOf(refusal, UsageError)
      assert.strictEqual(refusal.message, `--blocks must be "auto" or ranges A:B with A < B <= 30: got "${said}"`)
    })
})

describe("listenAt", () => {
  it("counts ports up from one that is given", () => {
    assert.strictEqual(listenAt("ws://0.0.0.0:7000", 0), "ws://0.0.0.0:7000")
    assert.strictEqual(listenAt("ws://0.0.0.0:7000", 2), "ws://0.0.0.0:7002")
    assert.strictEqual(listenAt("ws://[::1]:7000/", 1), "ws://[::1]:7001/")
  })

  it("leaves port 0, and what has no port", () => {
    for (const address of ["ws://127.0.0.1:0", "ws://[::1]", "garbage"])
      assert.strictEqual(listenAt(address, 3), address)
  })
})
