/**
 * `swarm inspect`: what a model is made of, and what fits on this machine.
 * @module
 */
import * as os from "node:os"
import { blockBytes, kvBytesPerToken, openModel, type PlannedMatrix, parameters, type SizedFormat } from "@swarm/model"
import * as Effect from "effect/Effect"
import type { Parsed } from "../args.ts"
import { makeOutput, size } from "../output.ts"
import type { inspect } from "../specs.ts"

const FORMATS: ReadonlyArray<SizedFormat> = ["q4", "q8", "f16", "f32"]
/** Sessions of this length are planned for. */
const SESSIONS = 8
const TOKENS = 2048
/** What a server takes besides weights and caches. */
const BASE_BYTES = 150e6

export const run = ({ values, positional }: Parsed<typeof inspect.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const memory = values.memory ?? os.freemem()
    const model = yield* openModel(positional)
    const { architecture, blocks } = model
    const counts = parameters(architecture)
    const plan = model.span(0, blocks)
    const asIs = plan.initializers.reduce((sum, { bytes }) => sum + bytes, 0) / blocks
    const kv = kvBytesPerToken(architecture)
    const fits = (weights: number) => {
      const each = weights + kv * SESSIONS * Math.min(TOKENS, model.contextLength)
      return Math.max(0, Math.min(blocks, Math.floor((memory - BASE_BYTES) / each)))
    }
    const formats = [
      { format: "as-is", bytesPerBlock: asIs, blocksThatFit: fits(asIs) },
      ...FORMATS.map((format) => ({
        format,
        bytesPerBlock: blockBytes(architecture, format),
        blocksThatFit: fits(blockBytes(architecture, format))
      }))
    ]
    const matrices = [...plan.matrices, ...model.head().matrices]
    const { heads, kvHeads, headDim } = architecture.attention
    output.event(
      {
        event: "model",
        name: model.name,
        family: architecture.family,
        digest: model.digest,
        blocks,
        hiddenSize: model.hiddenSize,
        vocabSize: model.vocabSize,
        contextLength: model.contextLength,
        heads,
        kvHeads,
        headDim,
        parameters: counts.total,
        parametersPerBlock: counts.block,
        kvBytesPerTokenPerBlock: kv,
        memory,
        formats,
        matrices
      },
      [
        output.bold(model.name),
        `  family      ${architecture.family}, ${blocks} blocks, hidden ${model.hiddenSize}, ${heads} heads of ${headDim} (${kvHeads} for keys and values)`,
        `  parameters  ${millions(counts.total)} (${millions(counts.block)} a block), vocabulary ${model.vocabSize}, context ${model.contextLength}`,
        `  KV cache    ${size(kv)} a token and block, ${size(kv * blocks)} a token`,
        `  digest      ${model.digest}`,
        "",
        `  weights     a block     all blocks   blocks that fit in ${size(memory)}`,
        ...formats.map(
          ({ format, bytesPerBlock, blocksThatFit }) =>
            `  ${format.padEnd(12)}${size(bytesPerBlock).padEnd(12)}${size(bytesPerBlock * blocks).padEnd(13)}${blocksThatFit} of ${blocks}`
        ),
        output.dim(`  (with ${SESSIONS} sessions of ${Math.min(TOKENS, model.contextLength)} tokens)`),
        "",
        ...kernels(matrices)
      ].join("\n")
    )
  })

/** What matrices become as they are, each kind once with their number. */
const kernels = (matrices: ReadonlyArray<PlannedMatrix>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { type, kernel, note } of matrices) {
    const line = `${type.toUpperCase()}: ${kernel}${note === undefined ? "" : ` (${note})`}`
    counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  return [...counts].map(([line, count]) => `  ${`${count} x`.padEnd(11)} ${line}`)
}

const millions = (value: number): string =>
  value >= 1e9 ? `${(value / 1e9).toFixed(2)} B` : `${(value / 1e6).toFixed(1)} M`
