/**
 * `swarm chat`: a conversation whose KV caches are kept from turn to turn.
 * @module
 */
import { createInterface } from "node:readline"
import {
  type Chain,
  type FinishReason,
  type GenerateOptions,
  makeSession,
  type Pipeline,
  type Session
} from "@swarm/client"
import type { ChatMessage } from "@swarm/model"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Parsed } from "../args.ts"
import { type FitOptions, fitTurns, promptLimit } from "../fitTurns.ts"
import { engineLayer } from "../layers.ts"
import { samplingOptions } from "../numerics.ts"
import { CommandFailed, makeOutput, type Output } from "../output.ts"
import { chainEvents, chainFigures, openRunnable, refuseEncoder } from "../sessions.ts"
import type { chat } from "../specs.ts"

const ANSWER_TOKENS = 512
const CONTEXT = 4096

export const run = ({ values }: Parsed<typeof chat.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const { model, head, pipeline: open } = yield* openRunnable(values)
    yield* refuseEncoder(model, "chatted with")
    const tokenizer = model.tokenizer()
    if (!tokenizer.hasChatTemplate)
      return yield* new CommandFailed({ detail: `${model.name} has no chat template: use swarm generate` })
    const opening: ReadonlyArray<ChatMessage> =
      values.system === undefined ? [] : [{ role: "system", content: values.system }]
    const context = Math.min(values.context ?? CONTEXT, model.contextLength)
    const pipeline = yield* open(context, chainEvents(output))
    const maxTokens = values["max-tokens"] ?? ANSWER_TOKENS
    const talk: Talk = {
      output,
      pipeline,
      fit: {
        opening: opening.length,
        // templates write the beginning of a text themselves
        encode: (messages) =>
          tokenizer.encode(tokenizer.chat(messages, { addGenerationPrompt: true }), { special: false }),
        context,
        answer: maxTokens
      },
      session: makeSession({ pipeline, head, tokenizer }),
      options: {
        maxTokens,
        temperature: 0.7,
        topP: 0.95,
        ...samplingOptions(values)
      }
    }
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
  readonly pipeline: Pipeline | Chain
  readonly session: Session
  readonly options: GenerateOptions
  readonly fit: FitOptions
}

/** Answers the last message; gives the conversation that goes on: without a message that is too long, or turns that are. */
const answer = (talk: Talk, messages: ReadonlyArray<ChatMessage>) =>
  Effect.gen(function* () {
    const { output, session, options, pipeline } = talk
    const { context } = talk.fit
    const fitted = fitTurns(messages, talk.fit)
    if ("tooLong" in fitted) {
      output.event({ event: "refused", promptTokens: fitted.tooLong, context })
      output.note(`this makes ${fitted.tooLong} tokens, and the context holds ${context}: say it in fewer words`)
      return messages.slice(0, -1)
    }
    const { ids, dropped } = fitted
    if (dropped > 0) {
      output.event({ event: "dropped", messages: dropped, promptTokens: ids.length, context })
      output.note(`the oldest ${dropped} messages are left out: the context holds ${context} tokens`)
    }
    const kept = commonLength(session.ids(), ids)
    if (kept < session.ids().length)
      yield* Effect.tryPromise({ try: () => session.truncate(kept), catch: (cause) => cause })
    let text = ""
    let finish: FinishReason | undefined
    const fresh: Array<number> = []
    yield* session.generate(ids.slice(kept), options).pipe(
      Stream.runForEach((token) =>
        Effect.sync(() => {
          text += token.text
          finish = token.finish
          fresh.push(token.id)
          if (output.isJson) output.event({ event: "token", id: token.id, text: token.text })
          else output.write(token.text)
        })
      )
    )
    const fields = { ids: fresh, text, finish, keptTokens: kept, promptTokens: ids.length, context }
    output.event({ event: "answer", ...fields, ...chainFigures(pipeline) }, "")
    const used = session.ids().length
    // another turn like this one would be too much
    if (dropped === 0 && used + (used - kept) > promptLimit(talk.fit))
      output.note(
        `${used} of the context's ${context} tokens are used: soon the oldest messages will be left out; /reset begins anew`
      )
    return [...fitted.messages, { role: "assistant", content: text }]
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
