/**
 * `swarm inspect`: what a model is made of, and what fits on this machine.
 * @module
 */
import * as os from "node:os"
import {
  blockBytes,
  blocksThatFit,
  kvBytesPerToken,
  type Model,
  openArchitecture,
  type PlannedMatrix,
  parameters,
  type SizedFormat
} from "@swarm/model"
import * as Effect from "effect/Effect"
import type { Parsed } from "../args.ts"
import { makeOutput, size } from "../output.ts"
import type { inspect } from "../specs.ts"

const FORMATS: ReadonlyArray<readonly [format: SizedFormat, group?: number]> = [
  ["q4", 32],
  ["q4", 128],
  ["q8", 32],
  ["q8", 128],
  ["f16"],
  ["f32"]
]
/** Sessions of this length are planned for. */
const SESSIONS = 8
const TOKENS = 2048

export const run = ({ values, positional }: Parsed<typeof inspect.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const memory = values.memory ?? os.freemem()
    const { name, architecture, model } = yield* openArchitecture(positional)
    const { blocks, hiddenSize, vocabSize, contextLength } = architecture
    const { heads, kvHeads, headDim } = architecture.attention
    const counts = parameters(architecture)
    const kv = kvBytesPerToken(architecture)
    const tokens = Math.min(TOKENS, contextLength)
    const asIs = model && checkpointForm(model)
    const sized = FORMATS.map(([format, group]) => ({
      format,
      ...(group === undefined ? {} : { group }),
      bytesPerBlock: blockBytes(architecture, format, group)
    }))
    const rows = asIs === undefined ? sized : [{ format: "as-is", bytesPerBlock: asIs.bytesPerBlock }, ...sized]
    const formats = rows.map((row) => ({
      ...row,
      blocksThatFit: blocksThatFit({ memory, weights: row.bytesPerBlock, cache: kv * SESSIONS * tokens, blocks })
    }))
    const matrices = asIs?.matrices ?? []
    output.event(
      {
        event: "model",
        name,
        family: architecture.family,
        ...(model === undefined ? {} : { digest: model.digest }),
        blocks,
        hiddenSize,
        vocabSize,
        contextLength,
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
        output.bold(name),
        `  family      ${architecture.family}, ${blocks} blocks, hidden ${hiddenSize}, ${heads} heads of ${headDim} (${kvHeads} for keys and values)`,
        `  parameters  ${millions(counts.total)} (${millions(counts.block)} a block), vocabulary ${vocabSize}, context ${contextLength}`,
        `  KV cache    ${size(kv)} a token and block, ${size(kv * blocks)} a token`,
        ...(model === undefined ? [] : [`  digest      ${model.digest}`]),
        "",
        `  weights     a block     all blocks   blocks that fit in ${size(memory)}`,
        ...formats.map((row) => {
          const label = "group" in row ? `${row.format} / ${row.group}` : row.format
          const each = size(row.bytesPerBlock).padEnd(12)
          return `  ${label.padEnd(12)}${each}${size(row.bytesPerBlock * blocks).padEnd(13)}${row.blocksThatFit} of ${blocks}`
        }),
        output.dim(`  (with ${SESSIONS} sessions of ${tokens} tokens; q4 / 32: groups of 32 weights share a scale)`),
        "",
        ...(asIs === undefined
          ? ["  there are no weights here: sizes are those of the description"]
          : kernels(matrices))
      ].join("\n")
    )
  })

/** What the weights take as they are in the checkpoint. */
const checkpointForm = (model: Model) => {
  const { initializers, matrices } = model.span(0, model.blocks)
  const bytesPerBlock = initializers.reduce((sum, { bytes }) => sum + bytes, 0) / model.blocks
  return { bytesPerBlock, matrices: [...matrices, ...model.head().matrices] }
}

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
