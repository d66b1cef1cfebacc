/**
 * Three servers on loopback: one stream against one process, several streams against one, prefill, time to the first
 * token, what a hop costs over computing; beside Petals.
 *
 *     node --import tsx --conditions=swarm-src bench/chain.ts [smollm2|synthetic|FILE.gguf] [--servers 3] [--rounds 5]
 *       [--quick] [--json] [-- OPTIONS OF swarm bench]
 * @module
 */
import * as path from "node:path"
import { parseArgs } from "node:util"
import { layer } from "@swarm/engine"
import { Effect } from "effect"
import { SHORT, timeHops } from "./support/hops.ts"
import { modelFile } from "./support/models.ts"
import { swarmBench } from "./support/processes.ts"
import { makeReport, type Row } from "./support/report.ts"
import { median, ratios } from "./support/statistics.ts"

/**
 * petals 2.2.0.post1 (torch 2.2.2, hivemind 1.1.10.post2) on a machine of this kind, November 2026: SmolLM2-135M in
 * float32, three servers of ten blocks on loopback, a torch thread each, two cores. Middles of what was seen.
 */
const PETALS = { decode: 8.6, afterLong: 7.4, prefill: 176, fourStreams: 15, firstToken: 0.24 } as const

/** What is to be reached: in one process's or one stream's rate, and times as fast as Petals. */
const MUST: Readonly<Record<string, { readonly chain: number; readonly eight: number }>> = {
  smollm2: { chain: 0.7, eight: 1.7 },
  synthetic: { chain: 0.9, eight: 2.2 }
}
const PETALS_MUST = { decode: 5, prefill: 2, fourStreams: 6, firstToken: 2.4 } as const
/** Milliseconds of a hop over computing, at most. */
const HOP_MUST = 0.5

const split = process.argv.indexOf("--")
const passed = split < 0 ? [] : process.argv.slice(split + 1)
const { values, positionals } = parseArgs({
  args: process.argv.slice(2, split < 0 ? undefined : split),
  allowPositionals: true,
  options: {
    servers: { type: "string", default: "3" },
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
const model = modelFile(positionals[0])
const { servers } = values
const rounds = values.quick ? 1 : Number(values.rounds)
const tokens = values.quick ? 16 : 128
const long = values.quick ? 64 : 512

const bench = (prompt: number, streams: number, chained: boolean) =>
  swarmBench(
    ...["--model", model, "--repetitions", "1", "--new-tokens", String(tokens), "--prompt-tokens", String(prompt)],
    ...["--streams", String(streams), ...(chained ? ["--swarm", servers] : []), ...passed]
  )

const report = await makeReport(values.json, { model: path.basename(model), servers, rounds })
const found: Record<"alone" | "chain" | "four" | "eight" | "prefill", Array<number>> = {
  alone: [],
  chain: [],
  four: [],
  eight: [],
  prefill: []
}
for (let round = 0; round < rounds; round++) {
  found.alone.push(...(await bench(SHORT, 1, false)).tg)
  const chain = await bench(long, 1, true)
  found.chain.push(...chain.tg)
  found.prefill.push(...chain.pp)
  found.four.push(...(await bench(SHORT, 4, true)).tg)
  found.eight.push(...(await bench(SHORT, 8, true)).tg)
  report.sample({
    round,
    ...Object.fromEntries(Object.entries(found).map(([name, all]) => [name, all.at(-1) ?? Number.NaN]))
  })
}

const hops = await Effect.runPromise(
  Effect.forEach([1, Number(servers)], (count) => timeHops(model, count, tokens, long)).pipe(Effect.provide(layer))
)
const times = hops.at(-1)

const isPetals = path.basename(model).startsWith("SmolLM2-135M") && servers === "3"
/** Against Petals: how many times as fast. `theirs` in the unit of `value`. */
const petals = (value: number, theirs: number, must?: number, longIsBad = false): Row =>
  isPetals
    ? {
        Petals: theirs,
        "x Petals": longIsBad ? theirs / value : value / theirs,
        ...(must === undefined ? {} : { "x Petals must": must })
      }
    : {}
const row = (
  what: string,
  all: ReadonlyArray<number>,
  beside: string,
  others: ReadonlyArray<number>,
  must?: number
): Row => ({
  what,
  median: median(all),
  "ratio to": beside,
  ratio: median(ratios(all, others)),
  ...(must === undefined ? {} : { "ratio must": must })
})
const must = servers === "3" ? MUST[(positionals[0] ?? "smollm2").split(":")[0] ?? ""] : undefined
const alone = "one process"
const chain = "one stream of the chain"
const afterLong = 1000 / (times?.afterLong ?? Number.NaN)
const firstToken = (times?.firstToken ?? Number.NaN) / 1000
report.table(`${servers} servers on loopback, medians of ${rounds} rounds; ratios are taken within rounds`, [
  { what: `${alone}, tokens/s`, median: median(found.alone) },
  {
    ...row(`${chain}, tokens/s`, found.chain, alone, found.alone, must?.chain),
    ...petals(median(found.chain), PETALS.decode, PETALS_MUST.decode)
  },
  {
    ...row("four streams in all, tokens/s", found.four, chain, found.chain),
    ...petals(median(found.four), PETALS.fourStreams, PETALS_MUST.fourStreams)
  },
  row("eight streams in all, tokens/s", found.eight, chain, found.chain, must?.eight),
  {
    what: `prefill ${long}, tokens/s`,
    median: median(found.prefill),
    ...petals(median(found.prefill), PETALS.prefill, PETALS_MUST.prefill)
  },
  {
    what: `one stream behind a prompt of ${long}, tokens/s`,
    median: afterLong,
    ...petals(afterLong, PETALS.afterLong)
  },
  {
    what: `a session opened, ${SHORT} tokens fed, the first token known, s`,
    median: firstToken,
    ...petals(firstToken, PETALS.firstToken, PETALS_MUST.firstToken, true)
  },
  {
    what: "overhead of a hop by difference, ms",
    median: median(
      found.chain.map((rate, round) => (1000 / rate - 1000 / (found.alone[round] ?? Number.NaN)) / Number(servers))
    )
  }
])
report.table(
  `Where a token's time goes, ms, medians over ${tokens} tokens; runs are timed inside the servers`,
  hops.map(({ servers, chain, compute, overheadPerHop, head, tcpRoundTrip }) => ({
    servers,
    "chain, there and back": chain,
    "computing in servers": compute,
    "overhead per hop": overheadPerHop,
    "overhead must": HOP_MUST,
    "head at the client": head,
    "raw TCP round trip": tcpRoundTrip,
    "messages' floor per hop": ((servers + 1) * tcpRoundTrip) / (2 * servers)
  }))
)
