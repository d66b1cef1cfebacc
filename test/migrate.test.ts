/**
 * A server moves to other blocks while it serves: real processes, `--blocks auto`, four streams. None breaks, and all ids are
 * those of an undisturbed run.
 */
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { clientLayer, startServer } from "@swarm/cli"
import { localPipeline, Swarm } from "@swarm/client"
import { type Head, loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect, Layer } from "effect"
import { argmaxRow } from "./support/tensors.ts"

const COMMAND = [
  process.execPath,
  "--import",
  "tsx",
  "--conditions=swarm-src",
  path.join(import.meta.dirname, "../packages/cli/src/main.ts")
] as const
const PROMPTS = ["Once upon a time", "One day, a girl named Suki", "The owl said", "Tim had a red kite"]
const MOST_TOKENS = 900
/** Tokens after the move, so that the new way is really gone. */
const AFTER = 40
/** Slows streams down, so that the move comes in their middle. */
const REST_MILLISECONDS = 8

/** Greedy tokens until `isEnough`. */
const generate = async (
  forward: (rows: Float32Array, want: "last") => Promise<Float32Array>,
  head: Head,
  prompt: ReadonlyArray<number>,
  isEnough: (ids: ReadonlyArray<number>) => boolean,
  restMilliseconds = 0
): Promise<ReadonlyArray<number>> => {
  const ids: Array<number> = []
  let rows = await forward(head.embed(prompt), "last")
  for (;;) {
    ids.push(argmaxRow(await head.logits(rows), 0, head.vocabSize))
    if (isEnough(ids)) return ids
    if (restMilliseconds > 0) await new Promise((resolve) => setTimeout(resolve, restMilliseconds))
    rows = await forward(head.embed([ids.at(-1) ?? 0]), "last")
  }
}

const start = (blocks: string, join: ReadonlyArray<string>, ...more: ReadonlyArray<string>) =>
  startServer({
    command: COMMAND,
    args: ["--model", "tiny", "--blocks", blocks, ...join.flatMap((address) => ["--join", address]), ...more]
  })

layer(Engine.layer, { excludeTestServices: true })("a server that moves", (it) => {
  it.scoped(
    "takes no generation with it",
    () =>
      Effect.gen(function* () {
        const model = yield* openModel("tiny")
        const head = yield* loadHead(model)
        const half = model.blocks / 2
        const tokenizer = model.tokenizer()
        const prompts = PROMPTS.map((prompt) => tokenizer.encode(prompt))

        const first = yield* start(`0:${half}`, [])
        const mover = yield* start("auto", [first.address], "--max-blocks", `${half}`, "--balance-seconds", "0.6")
        assert.deepStrictEqual(mover.blocks, [half, model.blocks])

        const client = yield* Effect.provide(Swarm, yield* Layer.build(clientLayer([first.address])))
        const served = { digest: model.digest, name: model.name, blocks: model.blocks, hiddenSize: model.hiddenSize }
        const chains = yield* Effect.forEach(prompts, () =>
          client.open({ model: served, maxTokens: MOST_TOKENS + 20, graceSeconds: 20 })
        )
        for (const chain of chains) assert.strictEqual(chain.route()[1]?.peer, mover.peer)
        const streams = chains.map((chain, index) => {
          let since = Number.POSITIVE_INFINITY
          const isEnough = (ids: ReadonlyArray<number>) => {
            if (chain.recoveries() > 0) since = Math.min(since, ids.length)
            return ids.length >= since + AFTER || ids.length >= MOST_TOKENS
          }
          return generate(chain.forward, head, prompts[index] ?? [], isEnough, REST_MILLISECONDS)
        })
        // the second half has three more servers now, the first none: whoever may move goes there
        const again = Array.from({ length: 3 }, () => `${half}:${model.blocks}`).join()
        yield* start(again, [first.address])
        const got = yield* Effect.promise(() => Promise.all(streams))

        const spans = yield* Effect.forEach(
          [
            [0, half],
            [half, model.blocks]
          ] as const,
          ([from, to]) => loadSpan(model, from, to)
        )
        for (const [index, chain] of chains.entries()) {
          const ids = got[index] ?? []
          assert.isBelow(ids.length, MOST_TOKENS, "the server did not move in time")
          assert.notStrictEqual(chain.route()[1]?.peer, mover.peer)
          const local = localPipeline(spans, MOST_TOKENS + 20)
          const expected = yield* Effect.promise(() =>
            generate(local.forward, head, prompts[index] ?? [], (all) => all.length >= ids.length)
          )
          yield* Effect.promise(local.close)
          assert.deepStrictEqual(ids, expected)
        }
        const pauses = chains.flatMap((chain) => chain.pauses())
        console.log(`    pauses of ${chains.length} streams: ${pauses.map((pause) => Math.round(pause)).join(", ")} ms`)
        for (const pause of pauses) assert.isBelow(pause, 2000)
      }),
    120_000
  )
})
