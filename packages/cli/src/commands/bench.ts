/**
 * `swarm bench`: prompt and generation speed, in the manner of llama-bench: pp N feeds N tokens and takes the logits of
 * the last, tg N generates N tokens one by one from an empty cache.
 * @module
 */
import { type ClientError, makeSampler, type Pipeline } from "@swarm/client"
import type { Head } from "@swarm/compute"
import { Engine } from "@swarm/engine"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Parsed, UsageError } from "../args.ts"
import { ownCommand, startServer } from "../children.ts"
import { engineLayer } from "../layers.ts"
import { CommandFailed, makeOutput } from "../output.ts"
import { modelOf, openRunnable, type Runnable } from "../sessions.ts"
import type { bench } from "../specs.ts"

const WARM_TOKENS = 32

type Values = Parsed<typeof bench.options>["values"]
type Open = (maxTokens: number) => Effect.Effect<Pipeline, ClientError, Scope.Scope>

export const run = ({ values }: Parsed<typeof bench.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const { runtime, instructionSet } = (yield* Engine).info
    const { "prompt-tokens": prompt = 512, "new-tokens": fresh = 128, repetitions = 3, streams = 1, swarm = 1 } = values
    const { contextLength } = yield* modelOf(values)
    if (Math.max(prompt, fresh + 1) > contextLength)
      return yield* new CommandFailed({
        detail: `A test of the bench is longer than the context of ${contextLength} tokens`
      })
    const runnable = yield* openBench(values)
    const rows = values["one-row"] ? "one row" : "reproducible"
    output.event(
      {
        event: "bench",
        model: runnable.model.name,
        runtime,
        instructionSet,
        threads: values.threads ?? 1,
        servers: values.swarm ?? 0,
        streams,
        oneRow: values["one-row"]
      },
      `${runnable.model.name}, ${runtime}, ${instructionSet}, ${values.threads ?? 1} thread, ${values.swarm === undefined ? "one process" : `${swarm} servers`}, ${rows}`
    )
    // the first runs load code and weights
    yield* rate(streams, WARM_TOKENS, (stream) => feedPrompt(runnable.pipeline, runnable.head, WARM_TOKENS, stream))
    yield* rate(streams, WARM_TOKENS, (stream) => generate(runnable.pipeline, runnable.head, WARM_TOKENS, stream))
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const pp = yield* rate(streams, prompt, (stream) => feedPrompt(runnable.pipeline, runnable.head, prompt, stream))
      output.event(
        { event: "result", test: `pp${prompt}`, tokensPerSecond: pp, streams },
        `pp${prompt}`.padEnd(10) + pp.toFixed(1).padStart(10)
      )
      const tg = yield* rate(streams, fresh, (stream) => generate(runnable.pipeline, runnable.head, fresh, stream))
      output.event(
        { event: "result", test: `tg${fresh}`, tokensPerSecond: tg, streams },
        `tg${fresh}`.padEnd(10) + tg.toFixed(1).padStart(10)
      )
    }
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

const openBench = (values: Values): Effect.Effect<Runnable, unknown, Engine | Scope.Scope> =>
  Effect.gen(function* () {
    const base = { ...values, codec: undefined, "grace-seconds": undefined, mdns: false }
    if (values.swarm === undefined) return yield* openRunnable({ ...base, join: [], local: true })
    return yield* openRunnable({ ...base, join: yield* chain(values, values.swarm), local: false })
  })

/** `count` servers of spans as equal as can be, the first one the directory of the others. */
const chain = (values: Values, count: number) =>
  Effect.gen(function* () {
    const { blocks } = yield* modelOf(values)
    if (count > blocks) return yield* Effect.fail(new UsageError(`--swarm must be at most ${blocks}, one block each`))
    const cut = (index: number) => Math.round((index * blocks) / count)
    const passed = [
      ...["model", "weights", "group", "activations", "threads"].flatMap((name) => {
        const value = values[name as "model"]
        return value === undefined ? [] : [`--${name}`, String(value)]
      }),
      ...(values["one-row"] ? ["--one-row"] : [])
    ]
    const start = (index: number, join: ReadonlyArray<string>) =>
      startServer({
        command: ownCommand(),
        args: [
          ...passed,
          "--blocks",
          `${cut(index)}:${cut(index + 1)}`,
          ...join.flatMap((address) => ["--join", address])
        ]
      })
    const first = yield* start(0, [])
    const others = yield* Effect.forEach(
      Array.from({ length: count - 1 }),
      (_, index) => start(index + 1, [first.address]),
      { concurrency: "unbounded" }
    )
    return [first, ...others].map(({ address }) => address)
  })

/** Tokens per second of all streams together. A test gives the seconds that it took, set-up left out. */
const rate = <E>(streams: number, tokens: number, test: (stream: number) => Effect.Effect<Span, E, Scope.Scope>) =>
  Effect.map(
    Effect.forEach(Array.from({ length: streams }), (_, stream) => Effect.scoped(test(stream)), {
      concurrency: "unbounded"
    }),
    (spans) => {
      const from = Math.min(...spans.map(({ started }) => started))
      const to = Math.max(...spans.map(({ ended }) => ended))
      return (streams * tokens * 1000) / (to - from)
    }
  )

interface Span {
  readonly started: number
  readonly ended: number
}

const timed = (run: () => Promise<void>): Effect.Effect<Span, unknown> =>
  Effect.tryPromise({
    try: async () => {
      const started = performance.now()
      await run()
      return { started, ended: performance.now() }
    },
    catch: (cause) => cause
  })

/** Ids spread over the vocabulary, the same at each run. */
const someIds = (count: number, vocab: number, seed: number) =>
  Array.from({ length: count }, (_, i) => ((i + seed * 31) * 7919) % vocab)

const feedPrompt = (open: Open, head: Head, tokens: number, stream: number) =>
  Effect.flatMap(open(tokens), (pipeline) =>
    timed(async () => {
      await head.logits(await pipeline.forward(head.embed(someIds(tokens, head.vocabSize, stream)), "last"))
    })
  )

const generate = (open: Open, head: Head, tokens: number, stream: number) =>
  Effect.flatMap(open(tokens + 1), (pipeline) =>
    timed(async () => {
      const sampler = makeSampler({ temperature: 0 })
      const ids = someIds(1, head.vocabSize, stream + 1)
      for (let token = 0; token < tokens; token++) {
        const x = head.embed(ids.slice(-1), pipeline.position())
        const logits = await head.logits(await pipeline.forward(x, "last"))
        ids.push(sampler.next(logits, ids))
      }
    })
  )
