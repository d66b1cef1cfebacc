/**
 * One process beside llama.cpp on the same file with the same threads: decode and prefill, in turns.
 *
 *     node --import tsx --conditions=swarm-src bench/single.ts [smollm2|synthetic|FILE.gguf] [--threads 1] [--rounds 5]
 *       [--llama-bench PROGRAM] [--quick] [--json] [-- OPTIONS OF swarm bench]
 *
 * A round runs llama.cpp between our two modes, and the next one the other way round: a process of its own each, so that
 * no caches are shared. `--llama-bench` adds that program, of a llama.cpp that was built on this machine. Options behind `--`
 * go to `swarm bench`, such as `-- --weights q4 --group 128`.
 * @module
 */
import * as path from "node:path"
import { parseArgs } from "node:util"
import { modelFile } from "./support/models.ts"
import { fromSources, type Rates, ratesOf, repository, start, swarmBench } from "./support/processes.ts"
import { makeReport, type Row } from "./support/report.ts"
import { median, quantile, ratios } from "./support/statistics.ts"

const ours = process.argv.indexOf("--")
const passed = ours < 0 ? [] : process.argv.slice(ours + 1)
const { values, positionals } = parseArgs({
  args: process.argv.slice(2, ours < 0 ? undefined : ours),
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    "llama-bench": { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
const model = modelFile(positionals[0])
const { threads } = values
const rounds = values.quick ? 1 : Number(values.rounds)
const [prompt, fresh] = values.quick ? ["64", "16"] : ["512", "128"]
const common = ["--threads", threads, "--repetitions", "1", "--prompt-tokens", prompt, "--new-tokens", fresh]

const LLAMA = "llama.cpp"
const ONE_ROW = "swarm, one row"
const REPRODUCIBLE = "swarm, reproducible"

/** What our rates must be at least, in those of llama.cpp. */
const MUST: Readonly<Record<string, Readonly<Record<string, { readonly tg: number; readonly pp: number }>>>> = {
  smollm2: { [ONE_ROW]: { tg: 1.1, pp: 2 }, [REPRODUCIBLE]: { tg: 0.9, pp: 2 } },
  synthetic: { [ONE_ROW]: { tg: 0.9, pp: 0.9 }, [REPRODUCIBLE]: { tg: 0.9, pp: 0.9 } }
}

/** llama-bench prints a line for each test: `n_prompt` tokens fed, or `n_gen` generated. */
const llamaBench = async (native: string): Promise<Rates> => {
  const sizes = ["-p", prompt, "-n", fresh, "-r", "1", "-t", threads, "-ngl", "0"]
  const lines = await start(native, ["-m", model, ...sizes, "-o", "jsonl"]).lines()
  const of = (field: string) => lines.filter((line) => Number(line[field]) > 0).map((line) => Number(line.avg_ts))
  return { pp: of("n_prompt"), tg: of("n_gen") }
}
const native = values["llama-bench"]
const runs: Readonly<Record<string, () => Promise<Rates>>> = {
  [ONE_ROW]: () => swarmBench("--model", model, ...common, "--one-row", ...passed),
  [LLAMA]: async () => {
    const [program, ...flags] = fromSources
    const script = path.join(repository, "bench/llamacpp.ts")
    return ratesOf(await start(program, [...flags, script, model, ...common]).lines())
  },
  [REPRODUCIBLE]: () => swarmBench("--model", model, ...common, ...passed),
  ...(native === undefined ? {} : { "llama-bench": () => llamaBench(native) })
}

const report = await makeReport(values.json, { model: path.basename(model), threads, rounds })
const rates = new Map(Object.keys(runs).map((name) => [name, { pp: [] as number[], tg: [] as number[] }]))
for (let round = 0; round < rounds; round++) {
  const turns = Object.entries(runs)
  for (const [name, run] of round % 2 === 0 ? turns : turns.reverse()) {
    const { pp, tg } = await run()
    rates.get(name)?.pp.push(...pp)
    rates.get(name)?.tg.push(...tg)
    report.sample({ run: name, round, [`tg${fresh}`]: median(tg), [`pp${prompt}`]: median(pp) })
  }
}

const theirs = rates.get(LLAMA)
// for the file's own weights
const must = passed.includes("--weights") ? undefined : MUST[(positionals[0] ?? "smollm2").split(":")[0] ?? ""]
const columns = (test: string, found: ReadonlyArray<number>, beside: ReadonlyArray<number>, must?: number): Row => {
  const pairs = ratios(found, beside)
  return {
    [`${test} tokens/s`]: median(found),
    [`${test} ratio`]: median(pairs),
    [`${test} ratio p10..p90`]: `${quantile(pairs, 0.1).toFixed(2)}..${quantile(pairs, 0.9).toFixed(2)}`,
    ...(must === undefined ? {} : { [`${test} must`]: must })
  }
}
report.table(
  `${path.basename(model)}, ${threads} thread, medians of ${rounds} rounds; ratios to llama.cpp are taken within rounds`,
  [...rates].map(([name, { pp, tg }]) => ({
    run: name,
    ...columns(`tg${fresh}`, tg, theirs?.tg ?? [], must?.[name]?.tg),
    ...columns(`pp${prompt}`, pp, theirs?.pp ?? [], must?.[name]?.pp)
  }))
)
