/**
 * Start and memory of a server: seconds until online, resident and anonymous memory idle and after 512 tokens.
 * usage: node --import tsx --conditions=swarm-src bench/server.ts [MODEL.gguf] [BLOCKS, such as 10:20]
 * @module
 */

import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { startServer } from "@swarm/cli"
import { Effect } from "effect"
import { command, environment, smollm2, table } from "./support.ts"

const model = process.argv[2] ?? smollm2
const blocks = process.argv[3] ?? "10:20"

/** Megabytes from /proc; proportional: shared pages divided among those who share them. */
const memoryOf = (pid: number) => {
  const field = (file: string, name: string) =>
    Number(
      new RegExp(`${name}:\\s+(\\d+) kB`).exec(fs.readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? Number.NaN
    ) / 1000
  return {
    resident: field("status", "VmRSS"),
    anonymous: field("status", "RssAnon"),
    proportional: field("smaps_rollup", "Pss")
  }
}

const program = Effect.gen(function* () {
  const rows: Array<ReadonlyArray<string | number>> = []
  for (const round of ["first (weights may be packed)", "second", "third"]) {
    yield* Effect.scoped(
      Effect.gen(function* () {
        const started = performance.now()
        const server = yield* startServer({ command, args: ["--model", model, "--blocks", blocks] })
        const seconds = (performance.now() - started) / 1000
        const { resident, anonymous, proportional } = memoryOf(server.pid)
        const weights = Number(server.online.weightBytes) / 1e6
        rows.push([round, seconds, resident, anonymous, proportional, weights, 1.3 * weights + 150])
      })
    )
  }
  console.log(`blocks ${blocks}, ${environment()}`)
  console.log(
    table(
      [
        "start",
        "online after s",
        "resident MB",
        "anonymous MB",
        "proportional MB",
        "packed weights MB",
        "1.3 x weights + 150"
      ],
      rows
    )
  )
  // three servers as a chain, after a prompt of 512 tokens
  const [program_, script] = command
  execFileSync(program_, [script, "bench", "--model", model, "--swarm", "3", "--repetitions", "1"], {
    stdio: "inherit"
  })
})
await Effect.runPromise(program)
