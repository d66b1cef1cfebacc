/**
 * `swarm simulate`: a swarm in virtual time.
 * @module
 */
import { type Outcome, parseScenario, simulate as simulateRun } from "@swarm/simulator"
import * as Effect from "effect/Effect"
import type { Parsed } from "../args.ts"
import { readJson } from "../jsonFile.ts"
import { makeOutput } from "../output.ts"
import type { simulate } from "../specs.ts"

const HEADER = [
  "tokens/s  published  first token  finished     recoveries  pause p50, p95  covered  quality  moves  run",
  "--------  ---------  -----------  -----------  ----------  --------------  -------  -------  -----  ---"
]

const line = (outcome: Outcome): string => {
  const { sessions, tokensPerSecond, firstTokenSeconds, recoveries, pauseSeconds, covered, bottleneck, servers } =
    outcome
  return [
    tokensPerSecond.mean.toPrecision(3).padStart(8),
    (outcome.published === undefined ? "" : String(outcome.published)).padStart(9),
    `${firstTokenSeconds.p50.toFixed(2)} s`.padStart(11),
    `${sessions.finished}/${sessions.started}`.padStart(11),
    String(recoveries).padStart(10),
    pauseSeconds.count === 0
      ? "".padStart(14)
      : `${pauseSeconds.p50.toFixed(2)}, ${pauseSeconds.p95.toFixed(2)} s`.padStart(14),
    `${(100 * covered).toFixed(1)} %`.padStart(7),
    bottleneck.quality.toFixed(2).padStart(7),
    String(servers.moves).padStart(5),
    outcome.name
  ].join("  ")
}

export const run = ({ values, positional }: Parsed<typeof simulate.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const runs = yield* readJson(positional, parseScenario)
    if (!output.isJson) output.write(`${HEADER.join("\n")}\n`)
    for (const scenario of runs) {
      const started = performance.now()
      const outcome = simulateRun(values.seed === undefined ? scenario : { ...scenario, seed: values.seed })
      output.event({ event: "run", ...outcome, wallSeconds: (performance.now() - started) / 1000 }, line(outcome))
      // lets signals in
      yield* Effect.yieldNow()
    }
  })
