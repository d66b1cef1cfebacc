/**
 * What the scripts here share: running the command, medians, tables.
 * @module
 */
import { execFileSync } from "node:child_process"
import * as os from "node:os"
import * as path from "node:path"

export const root = path.join(import.meta.dirname, "..")

/** The real model of the tests; `SWARM_SMOLLM2` names another place. */
export const smollm2 =
  process.env.SWARM_SMOLLM2 ??
  path.join(
    process.env.SWARM_CACHE ?? path.join(os.homedir(), ".cache", "swarm"),
    "models",
    "SmolLM2-135M-Instruct.Q4_1.gguf"
  )

/** `swarm` as built by `npm run setup`. */
export const command = [process.execPath, path.join(root, "packages/cli/bin/swarm.js")] as const

/** Runs a program and gives its JSON lines. */
export const jsonLines = (program: string, args: ReadonlyArray<string>): Array<Record<string, unknown>> =>
  execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 2 ** 28 })
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))

/** Results of a bench by test: tokens per second of each repetition. */
export const ratesOf = (lines: ReadonlyArray<Record<string, unknown>>): Record<"pp" | "tg", Array<number>> => {
  const of = (prefix: string) =>
    lines.filter(({ test }) => String(test).startsWith(prefix)).map(({ tokensPerSecond }) => Number(tokensPerSecond))
  return { pp: of("pp"), tg: of("tg") }
}

/** `swarm bench` on a model. */
export const bench = (model: string, ...args: ReadonlyArray<string>) => {
  const [program, script] = command
  return ratesOf(jsonLines(program, [script, "bench", "--json", "--model", model, ...args]))
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

export const environment = (): string =>
  `${os.cpus()[0]?.model ?? "?"}, ${os.cpus().length} cores, Node ${process.versions.node}`

/** A table in Markdown. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string =>
  [head, head.map(() => "---"), ...rows]
    .map(
      (row) =>
        `| ${row.map((cell) => (typeof cell === "number" ? cell.toFixed(cell < 10 ? 2 : 1) : cell)).join(" | ")} |`
    )
    .join("\n")
