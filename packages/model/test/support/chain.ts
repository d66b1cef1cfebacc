/**
 * A whole model as a chain of spans, fed in any grouping.
 * @module
 */
import type { Model, PlanOptions } from "../../src/index.ts"
import { argmax } from "./fixtures.ts"
import { type HeadRunner, type Kv, runHead, runSpan, type SpanRunner } from "./run.ts"

export interface Chain {
  readonly spans: ReadonlyArray<SpanRunner>
  readonly head: HeadRunner
  readonly open: (capacity: number) => ReadonlyArray<Kv>
  /** Runs tokens from `position` on; the hidden states behind each span, f32 (tokens, hidden) each. */
  readonly step: (kv: ReadonlyArray<Kv>, position: number, x: Float32Array) => Promise<ReadonlyArray<Float32Array>>
}

/** Spans between consecutive `bounds`. */
export const makeChain = async (model: Model, bounds: ReadonlyArray<number>, options: PlanOptions): Promise<Chain> => {
  const spans: Array<SpanRunner> = []
  for (let i = 1; i < bounds.length; i++) {
    spans.push(await runSpan(model.span(bounds[i - 1] ?? 0, bounds[i] ?? 0, options)))
  }
  return {
    spans,
    head: await runHead(model.head(options)),
    open: (capacity) => spans.map((span) => span.open(capacity)),
    step: async (kv, position, x) => {
      const tokens = x.length / model.hiddenSize
      const results: Array<Float32Array> = []
      for (const [i, span] of spans.entries()) {
        results.push(await span.run([{ kv: kv[i] ?? [], position, tokens }], results.at(-1) ?? x))
      }
      return results
    }
  }
}

/** Greedy continuation of `ids`, the prompt in chunks of `chunk`, then token by token. */
export const greedy = async (
  model: Model,
  chain: Chain,
  ids: ReadonlyArray<number>,
  count: number,
  chunk: number
): Promise<ReadonlyArray<number>> => {
  const embedding = model.embedding()
  const kv = chain.open(ids.length + count + 1)
  const out: Array<number> = []
  let y: Float32Array = new Float32Array(0)
  for (let at = 0; at < ids.length; at += chunk) {
    y = (await chain.step(kv, at, embedding.lookup(ids.slice(at, at + chunk), at))).at(-1) ?? y
  }
  while (out.length < count) {
    const id = argmax(await chain.head.logits(y.slice(-model.hiddenSize)))
    out.push(id)
    const position = ids.length + out.length - 1
    if (out.length < count) y = (await chain.step(kv, position, embedding.lookup([id], position))).at(-1) ?? y
  }
  return out
}
