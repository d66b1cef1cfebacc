/**
 * Losses that one spare does not mend, with real processes and SIGKILL: neighbours, the whole chain, a replacement in its
 * replay, every replica of a span. The embedded model, to the bit.
 */
import { assert, layer } from "@effect/vitest"
import type { ServerProcess } from "@swarm/cli"
import { type ChainEvent, localPipeline } from "@swarm/client"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Context, Effect, Layer, Scope } from "effect"
import { generateGreedily } from "./support/greedy.ts"
import { clientOf, processAt, served, startBlocks } from "./support/servers.ts"

const MODEL = "tiny"
const CUTS = [
  [0, 3],
  [3, 5],
  [5, 8]
] as const
const TOKENS = 12
const STRIKE_AT = 4
const PROMPT_TOKENS = 300

/** Shared by the tests below: what an undisturbed run gives, and processes, of which each test may kill some. */
const makePool = Effect.gen(function* () {
  const model = yield* openModel(MODEL)
  const head = yield* loadHead(model)
  const story = model.tokenizer().encode("Once upon a time there was a little owl who lived in a tree. ".repeat(40))
  const prompt = story.slice(0, PROMPT_TOKENS)
  const undisturbed = yield* Effect.scoped(
    Effect.gen(function* () {
      const spans = yield* Effect.forEach(CUTS, ([from, to]) => loadSpan(model, from, to))
      return yield* Effect.promise(() =>
        generateGreedily(localPipeline(spans, PROMPT_TOKENS + TOKENS), head, prompt, TOKENS)
      )
    })
  )
  const scope = yield* Effect.scope
  let running: ReadonlyArray<ServerProcess> = []

  const start = (span: number) =>
    startBlocks(
      MODEL,
      CUTS[span] ?? CUTS[0],
      running.slice(0, 2).map(({ address }) => address)
    ).pipe(
      Scope.extend(scope),
      Effect.tap((server) =>
        Effect.sync(() => {
          running = [...running, server]
        })
      )
    )
  const kill = (...victims: ReadonlyArray<ServerProcess>) => {
    running = running.filter((server) => !victims.includes(server))
    for (const victim of victims) victim.kill("SIGKILL")
    return Promise.all(victims.map(({ ended }) => ended))
  }
  /** Starts servers until each span has at least so many. */
  const ensure = (counts: readonly [number, number, number]) =>
    Effect.gen(function* () {
      const missing = counts.flatMap((count, span) => {
        const there = running.filter(({ blocks }) => blocks[0] === CUTS[span]?.[0]).length
        return Array.from({ length: Math.max(0, count - there) }, () => span)
      })
      if (running.length === 0) yield* start(missing.shift() ?? 0)
      yield* Effect.forEach(missing, start, { concurrency: 3, discard: true })
    })
  /** A session over all that run, and what happens to it. */
  const open = (options: { readonly graceSeconds?: number; readonly chunk?: number } = {}) =>
    Effect.gen(function* () {
      const events: Array<ChainEvent> = []
      const client = yield* clientOf(running)
      const chain = yield* client.open({
        model: served(model),
        maxTokens: PROMPT_TOKENS + TOKENS,
        codec: "f32",
        ...options,
        onEvent: (event) => events.push(event)
      })
      const count = (tag: ChainEvent["_tag"]) => events.filter(({ _tag }) => _tag === tag).length
      return { chain, events, count, at: (hop: number) => processAt(running, chain, hop) }
    })
  return { head, prompt, undisturbed, start, kill, ensure, open, running: () => running }
})

class Pool extends Context.Tag("Pool")<Pool, Effect.Effect.Success<typeof makePool>>() {}

const live = Layer.scoped(Pool, Effect.orDie(makePool)).pipe(Layer.provide(Engine.layer))

layer(live, { excludeTestServices: true, timeout: 60_000 })("losses", (it) => {
  it.scoped(
    "a replacement that dies in its replay",
    () =>
      Effect.gen(function* () {
        const { head, prompt, undisturbed, kill, ensure, open, running } = yield* Pool
        yield* ensure([1, 3, 1])
        // steps of one token, so that the replay takes a while
        const { chain, events, count, at } = yield* open({ chunk: 1 })
        const forward: typeof chain.forward = async (x, want) => {
          const step = chain.forward(x, want)
          if (count("FailureSeen") > 0 || chain.position() < PROMPT_TOKENS + STRIKE_AT) return step
          const first = at(1)
          void kill(first)
          while (count("ReplacementChosen") === 0) await sleep(1)
          const chosen = events.find((event) => event._tag === "ReplacementChosen")
          const second = running().find(({ peer }) => peer === chosen?.hops[0]?.peer)
          assert.isDefined(second)
          await sleep(20)
          if (second !== undefined) void kill(second)
          return step
        }
        const got = yield* Effect.promise(() => generateGreedily({ forward }, head, prompt, TOKENS))
        assert.deepStrictEqual(got, undisturbed)
        assert.strictEqual(count("ReplacementChosen"), 2)
        // both deaths are one pause: no row came in between
        assert.strictEqual(count("Resumed"), 1)
      }),
    60_000
  )

  for (const [name, hops, counts] of [
    ["two neighbours at once", [1, 2], [1, 2, 2]],
    ["all hops at once", [0, 1, 2], [2, 2, 2]]
  ] as const) {
    it.scoped(
      name,
      () =>
        Effect.gen(function* () {
          const { head, prompt, undisturbed, kill, ensure, open } = yield* Pool
          yield* ensure(counts)
          const { chain, count, at } = yield* open()
          const strike = async (token: number) => {
            if (token === STRIKE_AT) await kill(...hops.map(at))
          }
          const got = yield* Effect.promise(() => generateGreedily(chain, head, prompt, TOKENS, strike))
          assert.deepStrictEqual(got, undisturbed)
          assert.strictEqual(count("Resumed"), 1)
          assert.strictEqual(chain.recoveries(), 1)
        }),
      60_000
    )
  }

  it.scoped(
    "every replica of a span: an error within 5 s that names its blocks; the session goes on when one returns",
    () =>
      Effect.gen(function* () {
        const { head, prompt, undisturbed, start, kill, ensure, open, running } = yield* Pool
        yield* ensure([1, 2, 1])
        const { chain } = yield* open()
        const replicas = () => running().filter(({ blocks }) => blocks[0] === CUTS[1][0])
        let error: unknown
        let waitedMs = 0
        const forward: typeof chain.forward = async (x, want) => {
          if (error !== undefined || chain.position() < PROMPT_TOKENS + STRIKE_AT) return chain.forward(x, want)
          void kill(...replicas())
          const from = performance.now()
          error = await chain.forward(x, want).catch((cause: unknown) => cause)
          waitedMs = performance.now() - from
          await Effect.runPromise(start(1))
          return chain.forward(x, want)
        }
        const got = yield* Effect.promise(() => generateGreedily({ forward }, head, prompt, TOKENS))
        assert.nestedInclude(error, { _tag: "BlocksUnserved", "missing[0].from": 3, "missing[0].to": 5 })
        assert.isAtMost(waitedMs, 5000)
        assert.deepStrictEqual(got, undisturbed)
        console.log(`every replica gone: "${error}" after ${waitedMs.toFixed(0)} ms`)
      }),
    60_000
  )

  it.scoped(
    "every replica of a span, one of which returns within the grace time: the same call goes on",
    () =>
      Effect.gen(function* () {
        const { head, prompt, undisturbed, start, kill, ensure, open, running } = yield* Pool
        yield* ensure([1, 1, 1])
        const { chain, count } = yield* open({ graceSeconds: 50 })
        const strike = async (token: number) => {
          if (token !== STRIKE_AT) return
          await kill(...running().filter(({ blocks }) => blocks[0] === CUTS[1][0]))
          void Effect.runPromise(start(1))
        }
        const got = yield* Effect.promise(() => generateGreedily(chain, head, prompt, TOKENS, strike))
        assert.deepStrictEqual(got, undisturbed)
        assert.strictEqual(count("Waiting"), 1)
        assert.strictEqual(count("Resumed"), 1)
      }),
    60_000
  )
})

const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))
