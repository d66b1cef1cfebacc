/**
 * `swarm perplexity`: how well a model predicts a text.
 * @module
 */
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { engineLayer } from "../layers.ts"
import { CommandFailed, makeOutput } from "../output.ts"
import { openRunnable, refuseEncoder } from "../sessions.ts"
import type { perplexity } from "../specs.ts"

const WINDOW = 512

export const run = ({ values }: Parsed<typeof perplexity.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const file = values.text
    if (file === undefined) return yield* Effect.fail(new UsageError("--text is missing"))
    const text = yield* Effect.try({
      try: () => fs.readFileSync(file, "utf8"),
      catch: (cause) =>
        new CommandFailed({ detail: `Cannot read "${file}": ${cause instanceof Error ? cause.message : cause}` })
    })
    const { model, head, pipeline: open } = yield* openRunnable(values)
    yield* refuseEncoder(model, "scored: it sees the words that it would predict")
    const window = Math.min(values.window ?? WINDOW, model.contextLength)
    const ids = model.tokenizer().encode(text, { special: false })
    const windows = Math.floor(ids.length / window)
    if (windows === 0)
      return yield* new CommandFailed({ detail: `"${file}" has ${ids.length} tokens: a window takes ${window}` })
    let total = 0
    const started = performance.now()
    for (let index = 0; index < windows; index++) {
      const part = ids.slice(index * window, (index + 1) * window)
      total += yield* Effect.scoped(
        Effect.gen(function* () {
          const pipeline = yield* open(window)
          const rows = yield* Effect.tryPromise({
            try: () => pipeline.forward(head.embed(part), "all"),
            catch: (cause) => cause
          })
          const logits = yield* Effect.promise(() => head.logits(rows))
          return negativeLogLikelihood(logits, part, head.vocabSize)
        })
      )
      const sofar = Math.exp(total / ((index + 1) * (window - 1)))
      output.event({ event: "window", window: index + 1, windows, perplexity: sofar })
      if (!output.isJson) output.note(output.dim(`window ${index + 1} of ${windows}: ${sofar.toFixed(3)}`))
    }
    const seconds = (performance.now() - started) / 1000
    const nll = total / (windows * (window - 1))
    const tokensPerSecond = (windows * window) / seconds
    output.event(
      {
        event: "done",
        perplexity: Math.exp(nll),
        nll,
        windows,
        window,
        predictedTokens: windows * (window - 1),
        tokensPerSecond
      },
      `perplexity ${Math.exp(nll).toFixed(4)} over ${windows * (window - 1)} tokens, ${tokensPerSecond.toFixed(0)} tokens/s`
    )
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

/** Sum of -log p(ids[i + 1] | ids[..i]), given logits: f32 (ids, vocab). Softmax in f64. */
export const negativeLogLikelihood = (logits: Float32Array, ids: ReadonlyArray<number>, vocab: number): number => {
  let total = 0
  for (let position = 0; position + 1 < ids.length; position++) {
    const row = logits.subarray(position * vocab, (position + 1) * vocab)
    let greatest = Number.NEGATIVE_INFINITY
    for (const value of row) if (value > greatest) greatest = value
    let sum = 0
    for (const value of row) sum += Math.exp(value - greatest)
    total += greatest + Math.log(sum) - (row[ids[position + 1] ?? 0] ?? Number.NaN)
  }
  return total
}
