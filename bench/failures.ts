/**
 * PETALS' table of failures (arXiv 2312.08361, Table 1) with this library: four stages of SmolLM2 over emulated links, on
 * which each send of activations fails with probability p; beside the simulator with the compute of p = 0.
 *
 *     node --import tsx --conditions=swarm-src bench/failures.ts [smollm2|FILE.gguf|tiny] [--tokens 128,1024]
 *       [--p 0,0.0001,0.001,0.01] [--ways recovery,restart,cacheless] [--latency 2] [--runs 6] [--limit 120]
 *       [--base TOKEN_MS,TEXT_MS] [--json]
 *
 * One process, real servers and a real client; a failed send breaks its channel at both ends, and the session behind it is
 * lost. A cell ends after `--runs` generations or `--limit` seconds. Ids are compared with those of an undisturbed run (with
 * `--base`, of the first that ended); a difference ends the benchmark with code 1. Cacheless tokens are timed at twelve lengths and summed. Some 20 minutes; to
 * run it in parts, `--base` gives what an earlier part printed: milliseconds of a token, and of a token of text.
 * @module
 */
import * as path from "node:path"
import { isDeepStrictEqual, parseArgs } from "node:util"
import { layer } from "@swarm/engine"
import { openModel } from "@swarm/model"
import { type Recovery, simulate } from "@swarm/simulator"
import { Effect } from "effect"
import { cuts, someIds } from "./support/client.ts"
import { type Attempt, type LossySwarm, makeLossySwarm, type Way } from "./support/lossySwarm.ts"
import { modelFile } from "./support/models.ts"
import { makeReport } from "./support/report.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: "string", default: "128,1024" },
    p: { type: "string", default: "0,0.0001,0.001,0.01" },
    ways: { type: "string", default: "recovery,restart,cacheless" },
    latency: { type: "string", default: "2" },
    runs: { type: "string", default: "6" },
    limit: { type: "string", default: "120" },
    base: { type: "string" },
    json: { type: "boolean", default: false }
  }
})
const numbers = (text: string): ReadonlyArray<number> => text.split(",").map(Number)
const latency = Number(values.latency)
const limit = Number(values.limit)
const runs = Number(values.runs)
const STAGES = 4
const SENDS = STAGES + 1
/** Round trips of a repair: the connection and its handshake (2), hold, open, relink, and the ping behind the journal. */
const ROUND_TRIPS = 6
/** Lengths at which cacheless passes are timed. */
const PASSES = 12
const SIMULATED: Readonly<Record<Way, Recovery>> = { recovery: "replay", restart: "restart", cacheless: "cacheless" }

/** A model's figures without failures, in seconds. */
interface Base {
  readonly token: number
  /** Of one more token of a text in a cacheless pass, and in a replay. */
  readonly text: number
}

interface Cell {
  readonly rate: number
  readonly shown: string
  readonly failures: number
  readonly generations: number
}

const shown = (rate: number): string => rate.toPrecision(3)

/** Tokens per second over the generations; where none came to its end, what the attempts let expect. */
const rateOf = (tokens: number, p: number, attempts: ReadonlyArray<Attempt>): Cell => {
  const seconds = attempts.reduce((sum, attempt) => sum + attempt.seconds, 0)
  const generations = attempts.filter(({ finished }) => finished).length
  const failures = attempts.reduce((sum, attempt) => sum + attempt.failures, 0)
  if (generations > 0) {
    const rate = (generations * tokens) / seconds
    return { rate, shown: shown(rate), failures, generations }
  }
  const tries = attempts.reduce((sum, { restarts }) => sum + restarts, 0)
  const rate = (tokens * (1 - p) ** (SENDS * tokens)) / (seconds / Math.max(1, tries))
  return { rate, shown: `not in ${limit} s; ${rate.toPrecision(2)} expected`, failures, generations }
}

const measure = async (
  swarm: LossySwarm,
  way: Exclude<Way, "cacheless">,
  tokens: number,
  p: number,
  runs: number
): Promise<ReadonlyArray<Attempt>> => {
  const attempts: Array<Attempt> = []
  const began = performance.now()
  swarm.fail(p)
  for (let run = 0; run < runs; run++) {
    const left = limit - (performance.now() - began) / 1000
    if (run > 0 && left < (attempts[0]?.seconds ?? 0)) break
    attempts.push(await swarm.generate(way, PROMPT, tokens, left))
  }
  swarm.fail(0)
  return attempts
}

/** Seconds of a cacheless token, mean over texts of 1 to `tokens` tokens. */
const measurePasses = async (swarm: LossySwarm, tokens: number, p: number): Promise<number> => {
  swarm.fail(p)
  const lengths = Array.from({ length: PASSES }, (_, i) => Math.round(((i + 0.5) * tokens) / PASSES))
  const seconds = await swarm.passes(lengths.map((length) => someIds(length, swarm.head.vocabSize)))
  swarm.fail(0)
  return seconds.reduce((sum, each) => sum + each, 0) / PASSES
}

const predicted = (way: Way, tokens: number, p: number, base: Base, blocks: number): number => {
  const compute = base.token - (SENDS * latency) / 1000
  const outcome = simulate({
    name: way,
    model: { blocks, tokenBytes: 0 },
    servers: cuts(blocks, STAGES).map((cut) => ({
      count: 4,
      blocks: cut,
      decodeRate: blocks / compute,
      prefillRate: blocks / base.text,
      batch: 1e6
    })),
    network: { within: { rttMs: 2 * latency } },
    overheadSeconds: 0,
    balance: { rule: "none" },
    failures: { perSend: p, noticeSeconds: (ROUND_TRIPS * 2 * latency) / 1000 },
    recovery: SIMULATED[way],
    load: [{ count: way === "restart" ? 40 : 200, promptTokens: 0, newTokens: tokens }]
  })
  return outcome.tokensPerSecond.mean
}

const file = positionals[0] === "tiny" ? "tiny" : modelFile(positionals[0])
const report = await makeReport(values.json, { model: path.basename(file), "latency, ms": latency, limit, runs })
/** Text of nobody's: a few ids to begin with. */
const PROMPT = [1, 2, 3, 4]

const program = Effect.gen(function* () {
  const model = yield* openModel(file)
  const { blocks } = model
  const boundaries = [...cuts(blocks, STAGES).map(([from]) => from), blocks]
  const longest = Math.max(...numbers(values.tokens)) + PROMPT.length
  const swarm = yield* makeLossySwarm({ model, cuts: boundaries, replicas: 4, latency, maxTokens: longest })
  for (const tokens of numbers(values.tokens)) {
    // weights and code are loaded by the first tokens
    yield* Effect.promise(() => swarm.generate("recovery", PROMPT, 16))
    const undisturbed = yield* Effect.promise(() => measure(swarm, "recovery", tokens, 0, values.base ? 0 : runs))
    let ids = undisturbed[0]?.ids
    const [tokenMs, textMs] = values.base === undefined ? [] : numbers(values.base)
    const token = tokenMs === undefined ? 1 / rateOf(tokens, 0, undisturbed).rate : tokenMs / 1000
    const pass = textMs === undefined ? yield* Effect.promise(() => measurePasses(swarm, tokens, 0)) : Number.NaN
    const base = { token, text: textMs === undefined ? Math.max(1e-6, (pass - token) / (tokens / 2)) : textMs / 1000 }
    report.sample({ tokens, "ms a token": 1000 * base.token, "ms a token of text": 1000 * base.text })
    const rows = []
    for (const way of values.ways.split(",") as ReadonlyArray<Way>) {
      for (const p of numbers(values.p)) {
        const cell = yield* Effect.promise(async (): Promise<Cell> => {
          if (way === "cacheless") {
            const seconds = p === 0 && pass > 0 ? pass : await measurePasses(swarm, tokens, p)
            return { rate: 1 / seconds, shown: shown(1 / seconds), failures: 0, generations: 0 }
          }
          // without failures both ways are the same
          const attempts = p === 0 && undisturbed.length > 0 ? undisturbed : await measure(swarm, way, tokens, p, runs)
          for (const attempt of attempts) {
            if (!attempt.finished) continue
            ids ??= attempt.ids
            if (!isDeepStrictEqual(attempt.ids, ids)) throw new Error(`${way} gave another text`)
          }
          return rateOf(tokens, p, attempts)
        })
        const { failures, generations } = cell
        const simulated = predicted(way, tokens, p, base, blocks)
        const row = { way, tokens, p, "tokens/s": cell.shown, simulated, generations, failures }
        report.sample(row)
        rows.push(row)
      }
    }
    report.table(`${tokens} tokens`, rows)
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
