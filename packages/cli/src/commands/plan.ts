/**
 * `swarm plan`: what some machines would do with a model.
 * @module
 */
import { blockBytes, kvBytesPerToken, parameters } from "@swarm/model"
import { parseMachines, planSwarm, type SwarmPlan, type Way } from "@swarm/simulator"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { readJson } from "../jsonFile.ts"
import { spanOptions } from "../numerics.ts"
import { makeOutput, type Output, size } from "../output.ts"
import { modelOf } from "../sessions.ts"
import type { plan } from "../specs.ts"

const SESSIONS = 8
const SESSION_TOKENS = 2048
const PROMPT_TOKENS = 128
/** Activations cross the wire as f16. */
const WIRE_BYTES = 2

export const run = ({ values }: Parsed<typeof plan.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    if (values.machines === undefined) return yield* Effect.fail(new UsageError("--machines is missing"))
    const machines = yield* readJson(values.machines, parseMachines)
    const model = yield* modelOf(values)
    const { architecture, blocks } = model
    const { weights = "as-is", group } = spanOptions(values)
    const each =
      weights === "as-is"
        ? model.span(0, blocks).initializers.reduce((sum, { bytes }) => sum + bytes, 0) / blocks
        : blockBytes(architecture, weights, group)
    const promptTokens = values["prompt-tokens"] ?? PROMPT_TOKENS
    const planned = planSwarm(machines, {
      blocks,
      blockBytes: each,
      blockParameters: parameters(architecture).block,
      kvBytes: kvBytesPerToken(architecture),
      tokenBytes: WIRE_BYTES * model.hiddenSize,
      cacheTokens: SESSIONS * Math.min(SESSION_TOKENS, model.contextLength),
      promptTokens
    })
    output.event(
      { event: "plan", model: model.name, blocks, bytesPerBlock: each, weights, promptTokens, ...planned },
      describe(output, `${model.name}: ${blocks} blocks of ${size(each)}`, planned)
    )
  })

const way = (name: string, { secondsPerToken, firstTokenSeconds, machine }: Way): string =>
  `  ${name.padEnd(26)}${`${time(secondsPerToken)} a token`.padEnd(20)}first token after ${time(firstTokenSeconds)}${machine === undefined ? "" : `, on ${machine}`}`

const time = (seconds: number): string =>
  seconds < 1 ? `${(1000 * seconds).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`

const verdictOf = ({ verdict, gain, swarm, alone }: SwarmPlan): string => {
  const times = `${gain.toPrecision(2)} times`
  if (verdict === "swarm") return `A swarm is worthwhile: ${times} as fast as one machine`
  if (swarm === undefined) return "A swarm is not possible: the machines together cannot hold the model"
  return `A swarm is not worthwhile for one session: ${alone === undefined ? "reading from disk" : "one machine alone"} is ${times} as fast`
}

const describe = (output: Output, title: string, planned: SwarmPlan): string =>
  [
    output.bold(title),
    ...planned.machines.map(
      ({ name, blocks: { from, to }, bytes, memory, seconds }) =>
        `  ${name.padEnd(20)}blocks ${`${from}:${to}`.padEnd(8)}${size(bytes)} of ${size(memory)}, ${time(seconds)} a token`
    ),
    ...planned.left.map((name) => `  ${name.padEnd(20)}too small for one block`),
    "",
    ...(planned.swarm === undefined ? [] : [way("the swarm", planned.swarm)]),
    ...(planned.alone === undefined ? [] : [way("one machine alone", planned.alone)]),
    way("reading what does not fit", planned.offloading),
    ...(planned.swarm === undefined
      ? []
      : [
          `  all sessions of the swarm   at most ${planned.throughput.toPrecision(3)} tokens/s, one at a time in each server`
        ]),
    "",
    verdictOf(planned)
  ].join("\n")
