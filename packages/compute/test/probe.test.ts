import { probe, probeRows, type Span } from "@swarm/compute"
import { assert, describe, it } from "vitest"

const HIDDEN = 4

/** Adds up the rows of a session, as attention does, and gives `y` of each sum. */
const fakeSpan = (y: (sum: number, tokens: number) => number): Span & { readonly opened: () => number } => {
  let opened = 0
  const sums = new Map<object, Array<number>>()
  return {
    from: 3,
    to: 5,
    hiddenSize: HIDDEN,
    maxSessions: 1,
    reproducible: true,
    weightBytes: 0,
    kvBytesPerToken: 0,
    digest: "",
    open: (capacity) => {
      opened++
      const slot = { capacity, free: () => void opened-- }
      sums.set(slot, [])
      return slot
    },
    run: async ([step], x) => {
      const past = step === undefined ? undefined : sums.get(step.kv)
      if (step === undefined || past === undefined) throw new Error("an unknown slot")
      return x.map((value, i) => {
        const position = step.position + Math.floor(i / HIDDEN)
        if (i % HIDDEN === 0) past[position] = (past[position - 1] ?? 0) + value
        return y(past[position] ?? Number.NaN, step.tokens)
      })
    },
    opened: () => opened
  }
}

describe("probe", () => {
  it("fingerprints a sound span: the same for equal results, another for others", async () => {
    const first = await probe(fakeSpan((sum) => sum))
    assert.deepStrictEqual(first, await probe(fakeSpan((sum) => sum)))
    assert.deepInclude(first, { _tag: "Sound", reproducible: true })
    const other = await probe(fakeSpan((sum) => sum * (1 + 2 ** -22)))
    assert.strictEqual(other._tag, "Sound")
    assert.notDeepEqual(other, first)
  })

  it("sees results that depend on how rows are grouped", async () => {
    const result = await probe(fakeSpan((sum, tokens) => (tokens === 1 ? sum * (1 + 2 ** -22) : sum)))
    assert.deepInclude(result, { _tag: "Sound", reproducible: false })
  })

  for (const [what, value] of [
    ["NaN", Number.NaN],
    ["infinite values", Number.NEGATIVE_INFINITY],
    ["zeros", 0]
  ] as const)
    it(`calls a span broken that gives ${what}`, async () => {
      const span = fakeSpan(() => value)
      assert.strictEqual((await probe(span))._tag, "Broken")
      assert.strictEqual(span.opened(), 0)
    })

  it("calls a span broken for one value that is not finite", async () => {
    let values = 0
    assert.strictEqual((await probe(fakeSpan((sum) => (++values === 40 ? Number.NaN : sum))))._tag, "Broken")
  })

  it("frees its cache when a run fails", async () => {
    const span = fakeSpan(() => {
      throw new Error("out of order")
    })
    const failure = await probe(span).catch((cause: unknown) => cause)
    assert.nestedInclude(failure, { message: "out of order" })
    assert.strictEqual(span.opened(), 0)
  })
})

describe("probeRows", () => {
  it("are the same everywhere, within [-1, 1), and spread", () => {
    const x = probeRows(64, 64)
    assert.deepStrictEqual(Array.from(x.subarray(0, HIDDEN)), Array.from(probeRows(1, HIDDEN)))
    for (const value of x) assert.isTrue(value >= -1 && value < 1)
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length
    assert.closeTo(mean, 0, 0.05)
    assert.closeTo(variance, 1 / 3, 0.02)
  })
})
