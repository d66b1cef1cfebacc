/**
 * `swarm chat`: a conversation whose KV caches are kept from turn to turn.
 * @module
 */
import { createInterface } from "node:readline"
import { type Chain, type GenerateOptions, makeSession, type Pipeline, type Session } from "@swarm/client"
import type { ChatMessage, Tokenizer } from "@swarm/model"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Parsed } from "../args.ts"
import { engineLayer } from "../layers.ts"
import { samplingOptions } from "../numerics.ts"
import { CommandFailed, makeOutput, type Output } from "../output.ts"
import { chainEvents, chainFigures, openRunnable } from "../sessions.ts"
import type { chat } from "../specs.ts"

const ANSWER_TOKENS = 512
const CONTEXT = 4096

export const run = ({ values }: Parsed<typeof chat.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const { model, head, pipeline: open } = yield* openRunnable(values)
    const tokenizer = model.tokenizer()
    if (!tokenizer.hasChatTemplate)
      return yield* new CommandFailed({ detail: `${model.name} has no chat template: use swarm generate` })
    const pipeline = yield* open(Math.min(values.context ?? CONTEXT, model.contextLength), chainEvents(output))
    const talk: Talk = {
      output,
      tokenizer,
      pipeline,
      session: makeSession({ pipeline, head, tokenizer }),
      options: {
        maxTokens: values["max-tokens"] ?? ANSWER_TOKENS,
        temperature: 0.7,
        topP: 0.95,
        ...samplingOptions(values)
      }
    }
    const opening: ReadonlyArray<ChatMessage> =
      values.system === undefined ? [] : [{ role: "system", content: values.system }]
    let messages = opening
    yield* lines.pipe(
      Stream.takeWhile((line) => line.trim() !== "/exit"),
      Stream.runForEach((line) => {
        if (line.trim() === "") return prompt
        if (line.trim() === "/reset") {
          messages = opening
          return prompt
        }
        return answer(talk, [...messages, { role: "user", content: line }]).pipe(
          Effect.flatMap((next) => {
            messages = next
            return prompt
          })
        )
      })
    )
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

interface Talk {
  readonly output: Output
  readonly tokenizer: Tokenizer
  readonly pipeline: Pipeline | Chain
  readonly session: Session
  readonly options: GenerateOptions
}

/** Answers the last message; gives the conversation with the answer. */
const answer = ({ output, tokenizer, pipeline, session, options }: Talk, messages: ReadonlyArray<ChatMessage>) =>
  Effect.gen(function* () {
    // templates write the beginning of a text themselves
    const ids = tokenizer.encode(tokenizer.chat(messages, { addGenerationPrompt: true }), { special: false })
    const kept = commonLength(session.ids(), ids)
    if (kept < session.ids().length)
      yield* Effect.tryPromise({ try: () => session.truncate(kept), catch: (cause) => cause })
    let text = ""
    const fresh: Array<number> = []
    yield* session.generate(ids.slice(kept), options).pipe(
      Stream.runForEach((token) =>
        Effect.sync(() => {
          text += token.text
          fresh.push(token.id)
          if (output.isJson) output.event({ event: "token", id: token.id, text: token.text })
          else output.write(token.text)
        })
      )
    )
    output.event(
      { event: "answer", ids: fresh, text, keptTokens: kept, promptTokens: ids.length, ...chainFigures(pipeline) },
      ""
    )
    return [...messages, { role: "assistant", content: text }]
  })

/** Tokens that two conversations share at the beginning, but not all of `wanted`: something must be left to compute. */
const commonLength = (have: ReadonlyArray<number>, wanted: ReadonlyArray<number>): number => {
  let length = 0
  while (length < have.length && length < wanted.length - 1 && have[length] === wanted[length]) length++
  return length
}

/** Lines of standard input. */
const lines: Stream.Stream<string> = Stream.suspend(() => {
  const reader = createInterface({ input: process.stdin })
  return Stream.fromAsyncIterable(reader, (cause) => cause).pipe(
    Stream.orDie,
    Stream.ensuring(Effect.sync(() => reader.close())),
    Stream.onStart(prompt)
  )
})

const prompt = Effect.sync(() => {
  if (process.stdin.isTTY === true) process.stderr.write("> ")
})
