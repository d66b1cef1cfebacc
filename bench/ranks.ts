/**
 * One rank and two: tokens a second of a span, and what a token's sums cost.
 * usage: node --import tsx --conditions=swarm-src bench/ranks.ts [smollm2|synthetic|tiny|FILE.gguf] [--blocks A:B]
 *
 * Two ranks are two processes over WebSocket on loopback, one thread each. A B A B, medians. "idle" is a token's time less
 * half of the one-rank time: what is not divided, the sums and what waits for them.
 * @module
 */
import { parseArgs } from "node:util"
import { startRank } from "@swarm/cli"
import { loadParallelSpan, loadSpan, probeRows, type Span } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { layerWebSocket } from "@swarm/transport"
import { Effect, Layer } from "effect"
import { modelFile } from "./support/models.ts"
import { median } from "./support/statistics.ts"

const { values, positionals } = parseArgs({ allowPositionals: true, options: { blocks: { type: "string" } } })
const reference = positionals[0] === "tiny" ? "tiny" : modelFile(positionals[0])
const MAIN = new URL("../packages/cli/src/main.ts", import.meta.url).pathname
const [TOKENS, PROMPT, ROUNDS] = [48, 256, 3]

/** Milliseconds of a token, and of the prompt. */
const time = async (span: Span): Promise<readonly [token: number, prompt: number]> => {
  const kv = span.open(PROMPT + TOKENS)
  const begin = performance.now()
  await span.run([{ kv, position: 0, tokens: PROMPT }], probeRows(PROMPT, span.hiddenSize))
  const prompt = performance.now() - begin
  const x = probeRows(1, span.hiddenSize)
  const times: Array<number> = []
  for (let i = 0; i < TOKENS; i++) {
    const start = performance.now()
    await span.run([{ kv, position: PROMPT + i, tokens: 1 }], x)
    times.push(performance.now() - start)
  }
  kv.free()
  return [median(times), prompt]
}

const program = Effect.gen(function* () {
  const model = yield* openModel(reference)
  const [from = 0, to = model.blocks] = (values.blocks ?? `0:${model.blocks}`).split(":").map(Number)
  const command = [process.execPath, "--import", "tsx", "--conditions=swarm-src", MAIN] as const
  const rank = yield* startRank({ command, args: ["--model", reference] })
  const one = yield* loadSpan(model, from, to)
  const two = yield* loadParallelSpan(model, from, to, { ranks: [rank.address] })
  const times = {
    one: [] as Array<number>,
    two: [] as Array<number>,
    oneP: [] as Array<number>,
    twoP: [] as Array<number>
  }
  for (let round = 0; round <= ROUNDS; round++) {
    const [a, aPrompt] = yield* Effect.promise(() => time(one))
    const [b, bPrompt] = yield* Effect.promise(() => time(two))
    if (round === 0) continue
    times.one.push(a)
    times.two.push(b)
    times.oneP.push(aPrompt)
    times.twoP.push(bPrompt)
  }
  const [a, b, aPrompt, bPrompt] = [times.one, times.two, times.oneP, times.twoP].map(median) as [
    number,
    number,
    number,
    number
  ]
  const sums = 2 * (to - from)
  console.log(`${model.name}, blocks ${from}:${to}, ${sums} sums a token`)
  console.log("| | one rank | two ranks | ratio |")
  console.log("| --- | --- | --- | --- |")
  console.log(`| ms a token | ${a.toFixed(2)} | ${b.toFixed(2)} | ${(a / b).toFixed(2)} |`)
  console.log(
    `| ms a prompt of ${PROMPT} | ${aPrompt.toFixed(0)} | ${bPrompt.toFixed(0)} | ${(aPrompt / bPrompt).toFixed(2)} |`
  )
  console.log(`idle: ${(b - a / 2).toFixed(2)} ms a token, ${((1000 * (b - a / 2)) / sums).toFixed(0)} us a sum`)
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Layer.mergeAll(Engine.layer, layerWebSocket()))))
