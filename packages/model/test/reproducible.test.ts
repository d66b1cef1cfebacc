/**
 * Rows do not depend on how tokens are grouped, if no matmul and no attention sees a single row.
 */
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { fixtures, open } from "./support/fixtures.ts"
import { runHead, runSpan, store } from "./support/run.ts"

const cases = [
  ["gguf/q4_1", "as-is"],
  ["gguf/mixed-q4km", "as-is"],
  ["gguf/q8_0", "as-is"],
  ["families/qwen3", "q4"],
  ["families/llama-biased-mha", "q8"],
  ["families/mistral-window", "as-is"],
  ["families/gemma2", "q8"],
  ["families/gpt2", "q8"],
  ["families/bloom", "q4"],
  ["families/falcon-7b", "q4"],
  ["families/olmo2", "q8"],
  ["families/mixtral", "q4"],
  ["families/qwen2-moe", "q8"]
] as const

describe.each(cases)("%s with weights %s and int8 activations", (name, weights) => {
  const model = open(path.join(fixtures, name))
  const { hiddenSize, blocks } = model
  const tokens = 37
  const x = model.embedding().lookup(Array.from({ length: tokens }, (_, i) => 3 + ((i * 29) % 97)))
  const plan = model.span(0, blocks, { weights, activations: "int8" })
  const stored = store(plan.initializers)
  const rows = (from: number, count: number) => x.slice(from * hiddenSize, (from + count) * hiddenSize)
  const atOnce = runSpan(plan, {}, stored).then(async (span) => ({
    span,
    y: await span.run([{ kv: span.open(tokens), position: 0, tokens }], x)
  }))

  it("is the same to the bit in chunks", async () => {
    const { span, y } = await atOnce
    for (const chunk of [2, 3, 5]) {
      const kv = span.open(tokens)
      const out = new Float32Array(x.length)
      for (let at = 0; at < tokens; ) {
        // never a chunk of one at the end
        const count = tokens - at - chunk === 1 ? chunk + 1 : Math.min(chunk, tokens - at)
        out.set(await span.run([{ kv, position: at, tokens: count }], rows(at, count)), at * hiddenSize)
        at += count
      }
      assert.deepStrictEqual(out, y, `chunks of ${chunk}`)
    }
  })

  it("is the same to the bit token by token, each run as two equal rows", async () => {
    const { span, y } = await atOnce
    const kv = span.open(tokens + 1)
    const out = new Float32Array(x.length)
    for (let at = 0; at < tokens; at++) {
      const pair = new Float32Array(2 * hiddenSize)
      pair.set(rows(at, 1))
      pair.set(rows(at, 1), hiddenSize)
      const result = await span.run([{ kv, position: at, tokens: 2 }], pair)
      out.set(result.subarray(0, hiddenSize), at * hiddenSize)
    }
    assert.deepStrictEqual(out, y)
  })

  it("is the same to the bit token by token among three other sessions", async () => {
    const { y } = await atOnce
    const span = await runSpan(plan, { sessions: 4, duplicate: true }, stored)
    const kvs = [0, 1, 2, 3].map(() => span.open(tokens + 1))
    const out = new Float32Array(x.length)
    for (let at = 0; at < tokens; at++) {
      const joined = new Float32Array(4 * hiddenSize)
      kvs.forEach((_, s) => {
        joined.set(rows(s === 2 ? at : (at * (s + 3)) % tokens, 1), s * hiddenSize)
      })
      const result = await span.run(
        kvs.map((kv) => ({ kv, position: at, tokens: 1 })),
        joined
      )
      out.set(result.subarray(2 * hiddenSize, 3 * hiddenSize), at * hiddenSize)
    }
    assert.deepStrictEqual(out, y)
  })
})

describe.each([
  ["gguf/mixed-q4km", "as-is"],
  ["families/qwen3", "q4"],
  ["families/llama-biased-mha", "q8"]
] as const)("the head of %s with weights %s and int8 activations", (name, weights) => {
  it("gives the same logits to the bit for a row alone", async () => {
    const model = open(path.join(fixtures, name))
    const { hiddenSize, vocabSize } = model
    const plan = model.head({ weights, activations: "int8" })
    assert.strictEqual(plan.leastRows, 1)
    const head = await runHead(plan)
    const x = model.embedding().lookup([7, 50, 8, 90, 21, 33, 12])
    const all = await head.logits(x)
    for (let row = 0; row < 7; row++) {
      const alone = await head.logits(x.slice(row * hiddenSize, (row + 1) * hiddenSize))
      assert.deepStrictEqual(alone, all.slice(row * vocabSize, (row + 1) * vocabSize))
    }
  })
})
