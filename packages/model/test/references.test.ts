/**
 * Hidden states, logits and greedy continuations against transformers, for every family and every block type.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { greedy, makeChain } from "./support/chain.ts"
import { expectedOf, fixtures, open, relativeError, tinyFolder } from "./support/fixtures.ts"
import { runSpan } from "./support/run.ts"

/** Of the greatest magnitude of the expected tensor: the tolerance of the fixtures' README. */
const TOLERANCE = 1e-4
const exact = { activations: "f32" } as const

const ENCODER = "families/bert"
const folders = ["families", "gguf"].flatMap((kind) =>
  fs
    .readdirSync(path.join(fixtures, kind), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${kind}/${entry.name}`)
    .filter((name) => name !== ENCODER)
)

describe.each(folders)("%s", (name) => {
  const folder = path.join(fixtures, name)
  const model = open(folder)
  const expected = expectedOf(folder, model.blocks)
  const { hiddenSize, blocks } = model
  const x = model.embedding().lookup(expected.ids)

  it("gives the hidden states behind every block and the logits, fed in chunks", async () => {
    assert.isBelow(relativeError(x, expected.hidden[0] ?? x), TOLERANCE)
    const every = Array.from({ length: blocks + 1 }, (_, i) => i)
    const chain = await makeChain(model, every, exact)
    const kv = chain.open(expected.ids.length)
    const hidden = every.slice(1).map(() => new Float32Array(x.length))
    for (let at = 0; at < expected.ids.length; at += 7) {
      const results = await chain.step(kv, at, x.slice(at * hiddenSize, (at + 7) * hiddenSize))
      results.forEach((result, i) => {
        hidden[i]?.set(result, at * hiddenSize)
      })
    }
    hidden.forEach((values, i) => {
      assert.isBelow(relativeError(values, expected.hidden[i + 1] ?? x), TOLERANCE, `behind block ${i}`)
    })
    const logits = await chain.head.logits(hidden.at(-1) ?? x)
    assert.isBelow(relativeError(logits, expected.logits), TOLERANCE, "logits")
  })

  it("continues greedily as one span and as two", async () => {
    const count = expected.greedy.length
    const whole = await makeChain(model, [0, blocks], exact)
    assert.deepStrictEqual(await greedy(model, whole, expected.ids, count, expected.ids.length), expected.greedy)
    const halves = await makeChain(model, [0, 1, blocks], exact)
    assert.deepStrictEqual(await greedy(model, halves, expected.ids, count, 16), expected.greedy)
  })

  it.each([true, false])("runs four sessions at different positions in one graph, duplicate %s", async (duplicate) => {
    const span = await runSpan(model.span(0, blocks, exact), { sessions: 4, duplicate })
    const sessions = [1, 2, 3, 5].map((stride) => ({
      stride,
      kv: span.open(expected.ids.length + 1),
      out: new Float32Array(8 * stride * hiddenSize)
    }))
    for (let round = 0; round < 8; round++) {
      const steps = sessions.map(({ kv, stride }) => ({ kv, position: round * stride, tokens: stride }))
      const rows = steps.map((step) =>
        x.subarray(step.position * hiddenSize, (step.position + step.tokens) * hiddenSize)
      )
      const joined = Float32Array.from(rows.flatMap((part) => [...part]))
      const y = await span.run(steps, joined)
      let at = 0
      sessions.forEach(({ stride, out }) => {
        out.set(y.subarray(at, at + stride * hiddenSize), round * stride * hiddenSize)
        at += stride * hiddenSize
      })
    }
    for (const { stride, out } of sessions) {
      const wanted = expected.hidden[blocks]?.subarray(0, out.length) ?? x
      assert.isBelow(relativeError(out, wanted), TOLERANCE, `the session of ${stride} tokens a step`)
    }
  })
})

describe(`${ENCODER}, an encoder`, () => {
  const folder = path.join(fixtures, ENCODER)
  const model = open(folder)
  const expected = expectedOf(folder, model.blocks)
  const x = model.embedding().lookup(expected.ids)
  const last = expected.hidden[model.blocks] ?? x

  it("gives the hidden states behind every block and the logits of a whole text", async () => {
    assert.isBelow(relativeError(x, expected.hidden[0] ?? x), TOLERANCE)
    const chain = await makeChain(model, [0, 1, 2, 3], exact)
    const results = await chain.step(chain.open(1), 0, x)
    results.forEach((values, i) => {
      assert.isBelow(relativeError(values, expected.hidden[i + 1] ?? x), TOLERANCE, `behind block ${i}`)
    })
    assert.isBelow(relativeError(await chain.head.logits(results.at(-1) ?? x), expected.logits), TOLERANCE, "logits")
  })

  it.each([true, false])("reads four texts in one graph, duplicate %s", async (duplicate) => {
    const span = await runSpan(model.span(0, model.blocks, exact), { sessions: 4, duplicate })
    const alone = await runSpan(model.span(0, model.blocks, exact))
    const other = x.slice(0, 5 * model.hiddenSize)
    const texts = [x, other, x, other]
    const steps = texts.map((text) => ({ kv: [], position: 0, tokens: text.length / model.hiddenSize }))
    const y = await span.run(steps, Float32Array.from(texts.flatMap((text) => [...text])))
    const short = await alone.run([{ kv: [], position: 0, tokens: 5 }], other)
    let at = 0
    for (const text of texts) {
      const wanted = text === x ? last : short
      assert.isBelow(relativeError(y.subarray(at, at + text.length), wanted), TOLERANCE)
      at += text.length
    }
  })
})

describe("tiny", () => {
  interface Reference {
    readonly prompt: string
    readonly ids: ReadonlyArray<number>
    readonly greedy_ids: ReadonlyArray<number>
  }
  const references: ReadonlyArray<Reference> = JSON.parse(
    fs.readFileSync(path.join(tinyFolder, "reference.json"), "utf8")
  )

  it("continues every prompt of its reference", async () => {
    const model = open("tiny")
    const chain = await makeChain(model, [0, 3, 5, 8], exact)
    for (const { prompt, ids, greedy_ids } of references) {
      assert.deepStrictEqual(await greedy(model, chain, ids, greedy_ids.length, 64), greedy_ids, prompt)
    }
  })
})
