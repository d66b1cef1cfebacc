/**
 * `swarm quantize`: a model to a quantized checkpoint.
 * @module
 */
import * as fs from "node:fs"
import { type QuantizeTarget, quantizeModel } from "@swarm/compute"
import type { Model } from "@swarm/model"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { engineLayer } from "../layers.ts"
import { CommandFailed, makeOutput } from "../output.ts"
import { modelOf } from "../sessions.ts"
import type { quantize } from "../specs.ts"

const WINDOW = 512
const SAMPLES = 16

type Values = Parsed<typeof quantize.options>["values"]

export const run = ({ values }: Parsed<typeof quantize.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const { to, out } = values
    if (to === undefined) return yield* Effect.fail(new UsageError("--to is missing"))
    if (out === undefined) return yield* Effect.fail(new UsageError("--out is missing"))
    if (to !== "gptq" && (values["act-order"] || values.calibration !== undefined)) {
      return yield* Effect.fail(new UsageError("--act-order and --calibration are for --to gptq"))
    }
    const model = yield* modelOf(values)
    const calibration = to === "gptq" ? yield* windowsOf(model, values) : []
    const started = performance.now()
    yield* quantizeModel(model, {
      to: to as QuantizeTarget,
      folder: out,
      actOrder: values["act-order"],
      calibration,
      ...(values.group === undefined ? {} : { group: values.group }),
      onBlock: (block, blocks) => {
        const seconds = (performance.now() - started) / 1000
        if (output.isJson) output.event({ event: "block", block, blocks, seconds })
        else output.note(output.dim(`block ${block + 1} of ${blocks}, ${seconds.toFixed(0)} s`))
      }
    })
    const seconds = (performance.now() - started) / 1000
    const tokens = calibration.reduce((sum, ids) => sum + ids.length, 0)
    output.event(
      { event: "done", folder: out, to, blocks: model.blocks, calibrationTokens: tokens, seconds },
      `${model.name} as ${to} in ${output.bold(out)}, ${seconds.toFixed(0)} s`
    )
  }).pipe(Effect.provide(engineLayer))

/** The calibration text in windows of one length, evenly spaced over it. */
const windowsOf = (model: Model, values: Values) =>
  Effect.gen(function* () {
    const file = values.calibration
    if (file === undefined) return yield* Effect.fail(new UsageError("--calibration is missing: gptq needs a text"))
    const text = yield* Effect.try({
      try: () => fs.readFileSync(file, "utf8"),
      catch: (cause) =>
        new CommandFailed({ detail: `Cannot read "${file}": ${cause instanceof Error ? cause.message : cause}` })
    })
    const ids = model.tokenizer().encode(text, { special: false })
    const window = Math.min(WINDOW, model.contextLength, ids.length)
    if (window < 2)
      return yield* new CommandFailed({ detail: `"${file}" has ${ids.length} tokens: give a longer text` })
    const count = Math.min(Math.floor(ids.length / window), values.samples ?? SAMPLES)
    const space = Math.floor(ids.length / count)
    return Array.from({ length: count }, (_, i) => ids.slice(i * space, i * space + window))
  })
