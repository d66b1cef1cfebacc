/**
 * One process, one thread, beside llama.cpp on the same file: A B A B, medians and their ratios.
 * usage: node --import tsx --conditions=swarm-src bench/single.ts [MODEL.gguf] [--rounds N]
 * @module
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { bench, environment, jsonLines, median, ratesOf, root, smollm2, table } from "./support.ts"

const VERSION = "3.22.1"
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "3" } }
})
const model = positionals[0] ?? smollm2

/** Installs node-llama-cpp beside the workspace, not into it. */
const library = (): string => {
  const given = process.env.SWARM_LLAMACPP
  if (given !== undefined) return given
  const folder = path.join(root, "node_modules/.cache/swarm-bench")
  if (!fs.existsSync(path.join(folder, "node_modules/node-llama-cpp"))) {
    fs.mkdirSync(folder, { recursive: true })
    fs.writeFileSync(path.join(folder, "package.json"), "{}")
    execFileSync(
      "npm",
      ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, `node-llama-cpp@${VERSION}`],
      { stdio: "ignore" }
    )
  }
  return folder
}
process.env.SWARM_LLAMACPP = library()
const llamaCpp = () => ratesOf(jsonLines(process.execPath, [path.join(root, "bench/llamacpp.mjs"), model, "1", "2"]))

const theirs = { pp: [] as Array<number>, tg: [] as Array<number> }
const oneRow = { pp: [] as Array<number>, tg: [] as Array<number> }
const reproducible = { pp: [] as Array<number>, tg: [] as Array<number> }
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [kept, run] of [
    [oneRow, () => bench(model, "--one-row", "--repetitions", "2")],
    [theirs, llamaCpp],
    [reproducible, () => bench(model, "--repetitions", "2")]
  ] as const) {
    const { pp, tg } = run()
    kept.pp.push(...pp)
    kept.tg.push(...tg)
  }
}
const row = (name: string, rates: typeof theirs) => [
  name,
  median(rates.tg),
  median(rates.tg) / median(theirs.tg),
  median(rates.pp),
  median(rates.pp) / median(theirs.pp)
]
console.log(`${path.basename(model)}, one thread, ${environment()}`)
console.log(
  table(
    ["", "tg128 tokens/s", "ratio", "pp512 tokens/s", "ratio"],
    [row("llama.cpp", theirs), row("swarm, one row", oneRow), row("swarm, reproducible", reproducible)]
  )
)
