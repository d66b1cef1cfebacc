import * as FastCheck from "effect/FastCheck"
import { assert, describe, expect, it } from "vitest"
import { stopper } from "../src/stopping.ts"

/** Feeds pieces; what is shown, and the string that stopped. */
const run = (strings: ReadonlyArray<string>, pieces: ReadonlyArray<string>) => {
  const stops = stopper(strings)
  let text = ""
  let stop: string | undefined
  for (const piece of pieces) {
    const shown = stops.push(piece)
    text += shown.text
    stop = shown.stop
  }
  return { text: text + stops.end(), stop }
}

describe("stopper", () => {
  it("holds back what may become a stop string", () => {
    const stops = stopper(["</s>"])
    assert.deepStrictEqual(stops.push("a<"), { text: "a", stop: undefined })
    assert.deepStrictEqual(stops.push("/"), { text: "", stop: undefined })
    assert.deepStrictEqual(stops.push("b</s"), { text: "</b", stop: undefined })
    assert.deepStrictEqual(stops.push(">more"), { text: "", stop: "</s>" })
    assert.deepStrictEqual(stops.push("more"), { text: "", stop: "</s>" })
    assert.strictEqual(stops.end(), "")
  })

  it("gives up what it held back at the end", () => {
    const stops = stopper(["\n\n"])
    assert.strictEqual(stops.push("one\n").text, "one")
    assert.strictEqual(stops.end(), "\n")
    assert.strictEqual(stops.end(), "")
  })

  it("stops at the string that is complete first", () => {
    assert.deepStrictEqual(run(["bcd", "c"], ["abcd"]), { text: "ab", stop: "c" })
    assert.deepStrictEqual(run(["c", "abc"], ["abc"]), { text: "", stop: "abc" })
    assert.deepStrictEqual(run([], ["abc"]), { text: "abc", stop: undefined })
    expect(() => stopper(["a", ""])).toThrowError(RangeError)
  })

  it("does not depend on how the text is cut", () => {
    const letters = FastCheck.array(FastCheck.constantFrom("a", "b"), { minLength: 1, maxLength: 4 }).map((all) =>
      all.join("")
    )
    const strings = FastCheck.array(letters, { maxLength: 3 })
    const pieces = FastCheck.array(letters, { maxLength: 12 })
    FastCheck.assert(
      FastCheck.property(strings, pieces, (stops, parts) => {
        const whole = parts.join("")
        assert.deepStrictEqual(run(stops, parts), run(stops, [whole]))
        assert.deepStrictEqual(run(stops, [...whole]), run(stops, [whole]))
        const { text, stop } = run(stops, [whole])
        assert.isTrue(whole.startsWith(text + (stop ?? "")))
        for (const string of stops) assert.notInclude(text, string)
      }),
      { numRuns: 2000 }
    )
  })
})
