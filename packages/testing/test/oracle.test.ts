import { oracleHead, oracleSpan } from "@swarm/testing"
import * as FastCheck from "effect/FastCheck"
import { assert, describe, it } from "vitest"

const HIDDEN = 8
const head = oracleHead(HIDDEN)

/** Feeds ids at the given positions one by one; the last output row. */
const last = async (steps: ReadonlyArray<readonly [position: number, id: number]>): Promise<ReadonlyArray<number>> => {
  const span = oracleSpan({ from: 2, to: 4, hiddenSize: HIDDEN })
  const kv = span.open(64)
  let y: Float32Array = new Float32Array()
  for (const [position, id] of steps) y = await span.run([{ kv, position, tokens: 1 }], head.embed([id]))
  return [...y]
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (cause: unknown) => cause
  )

describe("the position oracle", () => {
  const at = (position: number, id: number) => [position, id] as const
  const [a, b, c, d, e] = [at(0, 3), at(1, 14), at(2, 15), at(3, 92), at(4, 65)] as const
  const story = [a, b, c, d, e]

  it("gives the same for the same rows, however they are cut", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(FastCheck.integer({ min: 1, max: 4 }), async (cut) => {
        const span = oracleSpan({ from: 2, to: 4, hiddenSize: HIDDEN })
        const kv = span.open(64)
        const x = head.embed(story.map(([, id]) => id))
        const first = await span.run([{ kv, position: 0, tokens: cut }], x.slice(0, cut * HIDDEN))
        const second = await span.run([{ kv, position: cut, tokens: 5 - cut }], x.slice(cut * HIDDEN))
        assert.deepStrictEqual([...first, ...second].slice(-HIDDEN), [...(await last(story))])
      })
    ))

  it("tells when a row is lost", async () => {
    assert.instanceOf(await failureOf(last([a, b, d, e])), Error)
    // closed up: the rest stands one position too early
    assert.notDeepEqual(await last([a, b, [2, d[1]], [3, e[1]]]), await last(story))
  })

  it("tells when a row is repeated", async () => {
    assert.notDeepEqual(await last([a, b, b, c, d, e].map(([, id], i) => [i, id])), await last(story))
    // sent again at its own position it does no harm
    assert.deepStrictEqual(await last([a, b, b, c, d, e]), await last(story))
  })

  it("tells when two rows change places", async () => {
    assert.notDeepEqual(await last([a, [1, c[1]], [2, b[1]], d, e]), await last(story))
  })

  it("tells when a cache is not the session's own", async () => {
    assert.notDeepEqual(await last([[0, 4], b, c, d, e]), await last(story))
  })

  it("differs between blocks and flavours", async () => {
    const outputs = await Promise.all(
      [
        { from: 0, to: 2 },
        { from: 2, to: 4 },
        { from: 2, to: 4, flavour: 1 }
      ].map(async (options) => {
        const span = oracleSpan({ ...options, hiddenSize: HIDDEN })
        return String(await span.run([{ kv: span.open(4), position: 0, tokens: 1 }], head.embed([7])))
      })
    )
    assert.strictEqual(new Set(outputs).size, 3)
  })

  it("keeps sessions of one run apart, and values that f16 holds exactly", async () => {
    const span = oracleSpan({ from: 2, to: 4, hiddenSize: HIDDEN })
    const steps = [0, 1].map(() => ({ kv: span.open(8), position: 0, tokens: 1 }))
    const y = await span.run(steps, head.embed([3, 900]))
    assert.deepStrictEqual([...y.subarray(0, HIDDEN)], await last([[0, 3]]))
    assert.deepStrictEqual([...y.subarray(HIDDEN)], await last([[0, 900]]))
    for (const value of y) assert.isTrue(Number.isInteger(value) && value >= 0 && value <= 2048)
    assert.deepStrictEqual([span.opened(), ...span.runs], [2, 2])
    for (const { kv } of steps) {
      kv.free()
      kv.free()
    }
    assert.strictEqual(span.opened(), 0)
  })

  it("has a head that says which value came back", async () => {
    const logits = await head.logits(head.embed([17, 401]))
    assert.deepStrictEqual([logits.indexOf(1), logits.lastIndexOf(1) - head.vocabSize], [17, 401])
  })
})
