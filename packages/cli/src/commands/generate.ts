/**
 * `swarm generate`: continues a text.
 * @module
 */
import * as fs from "node:fs"
import { makeSession } from "@swarm/client"
import { type Model, type Tokenizer, TokenizerError } from "@swarm/model"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Parsed, UsageError } from "../args.ts"
import { engineLayer } from "../layers.ts"
import { samplingOptions } from "../numerics.ts"
import { CommandFailed, makeOutput } from "../output.ts"
import { chainEvents, chainFigures, openRunnable, refuseEncoder } from "../sessions.ts"
import type { generate } from "../specs.ts"

const DEFAULT_TOKENS = 128

export const run = ({ values }: Parsed<typeof generate.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    if ((values.prompt === undefined) === (values.ids === undefined)) {
      return yield* Effect.fail(new UsageError("give either --prompt or --ids"))
    }
    const { model, head, pipeline: open } = yield* openRunnable(values)
    yield* refuseEncoder(model, "asked to generate")
    const tokenizer = yield* tokenizerOf(model, values.ids !== undefined)
    const ids =
      values.ids === undefined
        ? (tokenizer?.encode(values.prompt ?? "") ?? [])
        : yield* readIds(values.ids, model.vocabSize)
    const room = model.contextLength - ids.length
    if (room < 1) {
      return yield* new CommandFailed({
        detail: `The prompt has ${ids.length} tokens, but ${model.name} holds only ${model.contextLength}`
      })
    }
    const maxTokens = Math.min(values["max-tokens"] ?? DEFAULT_TOKENS, room)
    const pipeline = yield* open(ids.length + maxTokens, chainEvents(output))
    const session = makeSession({ pipeline, head, ...(tokenizer === undefined ? {} : { tokenizer }) })
    const started = performance.now()
    let firstAt = started
    let text = ""
    const fresh: Array<number> = []
    let finish: string | undefined
    if (values.prompt !== undefined) output.write(output.dim(values.prompt))
    yield* session
      .generate(ids, {
        maxTokens,
        stop: values.stop,
        ignoreEos: values["ignore-eos"],
        temperature: 0,
        ...samplingOptions(values)
      })
      .pipe(
        Stream.runForEach((token) =>
          Effect.sync(() => {
            if (fresh.length === 0) firstAt = performance.now()
            fresh.push(token.id)
            text += token.text
            finish = token.finish ?? finish
            if (output.isJson) output.event({ event: "token", id: token.id, text: token.text })
            else output.write(token.text)
          })
        )
      )
    const ended = performance.now()
    const tokensPerSecond = fresh.length < 2 ? 0 : ((fresh.length - 1) * 1000) / (ended - firstAt)
    output.event(
      {
        event: "done",
        ids: fresh,
        text,
        finish,
        promptTokens: ids.length,
        firstTokenMs: Math.round(firstAt - started),
        promptTokensPerSecond: (ids.length * 1000) / (firstAt - started),
        tokensPerSecond,
        ...chainFigures(pipeline)
      },
      ""
    )
    if (!output.isJson)
      output.note(
        output.dim(
          `${fresh.length} tokens, ${tokensPerSecond.toFixed(1)} per second, first after ${Math.round(firstAt - started)} ms`
        )
      )
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

/** A JSON array of ids within the vocabulary. */
export const readIds = (file: string, vocabSize: number): Effect.Effect<ReadonlyArray<number>, CommandFailed> =>
  Effect.try({
    try: () => {
      const ids: unknown = JSON.parse(fs.readFileSync(file, "utf8"))
      if (!Array.isArray(ids) || ids.length === 0) throw new Error("it is not a JSON array of token ids")
      for (const id of ids)
        if (!Number.isInteger(id) || id < 0 || id >= vocabSize) throw new Error(`${id} is no id below ${vocabSize}`)
      return ids as ReadonlyArray<number>
    },
    catch: (cause) =>
      new CommandFailed({ detail: `Cannot read ids from "${file}": ${cause instanceof Error ? cause.message : cause}` })
  })

/** Ids need no tokenizer: without one they are generated and not shown as text. */
const tokenizerOf = (model: Model, optional: boolean): Effect.Effect<Tokenizer | undefined, TokenizerError> =>
  Effect.suspend((): Effect.Effect<Tokenizer | undefined, TokenizerError> => {
    try {
      return Effect.succeed(model.tokenizer())
    } catch (cause) {
      if (!(cause instanceof TokenizerError)) throw cause
      return optional ? Effect.succeed(undefined) : Effect.fail(cause)
    }
  })
