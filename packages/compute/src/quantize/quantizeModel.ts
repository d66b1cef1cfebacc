/**
 * A model to a quantized checkpoint in Hugging Face layout, block by block.
 * @module
 */
import { Engine, type EngineError } from "@swarm/engine"
import { type BlockRole, type Model, planSpan, type Slice, type Weights } from "@swarm/model"
import * as Effect from "effect/Effect"
import { QuantizeError } from "../ComputeError.ts"
import { type Hessians, runBlock } from "./calibration.ts"
import { descriptionOf, openCheckpointFolder } from "./folder.ts"
import {
  type MatrixOptions,
  type Quantized,
  type QuantizeTarget,
  quantizationConfig,
  quantizeMatrix
} from "./formats.ts"
import { type BlockMatrix, namingOf } from "./matrices.ts"

export type { QuantizeTarget } from "./formats.ts"

/** What to make of a model. */
export interface QuantizeOptions {
  readonly to: QuantizeTarget
  /** The new folder; an unfinished one of the same model and options is gone on with. */
  readonly folder: string
  /** Weights that share a scale in q4, q8 and gptq. @default 128 */
  readonly group?: number
  /**
   * GPTQ takes the features with the greatest inputs first, whatever their group: smaller errors, and a permutation at run
   * time. Else group by group, and nothing is permuted. @default false
   */
  readonly actOrder?: boolean
  /** Texts of one length, as ids, whose activations GPTQ keeps close: 8192 tokens and more. */
  readonly calibration?: ReadonlyArray<ReadonlyArray<number>>
  /** After each block, in order. */
  readonly onBlock?: (block: number, blocks: number) => void
}

/**
 * Writes a checkpoint whose block matrices are quantized and whose other tensors are as they were.
 *
 * `q4`, `q8` and `gptq` give the layout of GPTQ, `nf4` and `int8` that of bitsandbytes. GPTQ runs the calibration texts
 * through the blocks with f32 weights and activations: each block sees what the quantized ones before it give. In memory
 * are the rows of the texts, one block as f32 and the Hessians of its matrices, f64 (K, K) each. SmolLM2 (135M) takes two
 * minutes of one core with 8192 tokens.
 *
 * @see {@link https://arxiv.org/abs/2210.17323} GPTQ, section 4
 */
export const quantizeModel = (
  model: Model,
  options: QuantizeOptions
): Effect.Effect<void, QuantizeError | EngineError, Engine> =>
  Effect.gen(function* () {
    const { to, folder, group = 128, actOrder = false, calibration = [], onBlock } = options
    const matrix: MatrixOptions = { to, group, actOrder }
    const attempt = <A>(run: () => A): Effect.Effect<A, QuantizeError> =>
      Effect.try({
        try: run,
        catch: (cause) =>
          cause instanceof QuantizeError
            ? cause
            : new QuantizeError({ folder, detail: cause instanceof Error ? cause.message : String(cause), cause })
      })
    const tokens = to === "gptq" ? yield* attempt(() => lengthOf(calibration, model.contextLength)) : 0
    const naming = yield* attempt(() => namingOf(model))
    yield* attempt(() => {
      for (let block = 0; block < model.blocks; block++) checkBlock(model, naming.matrices(block), matrix)
      descriptionOf(model, quantizationConfig(matrix))
    })
    const settings = { model: model.digest, ...matrix, ...(to === "gptq" ? { calibration } : {}) }
    const out = yield* attempt(() => openCheckpointFolder(folder, model.blocks + 1, settings))
    if (!out.has(0)) yield* attempt(() => out.write(0, naming.others(undefined)))
    let first = 0
    while (first < model.blocks && out.has(first + 1)) first++
    let rows: Float32Array | undefined
    if (to === "gptq" && first < model.blocks) {
      // rows are saved after the block that gave them: at most one block is done again
      const saved = yield* attempt(out.rows)
      first = saved?.block ?? 0
      rows = saved?.rows ?? (yield* attempt(() => model.embedding().lookup(calibration.flat())))
    }
    for (let block = first; block < model.blocks; block++) {
      const matrices = naming.matrices(block)
      const hessians: Hessians = new Map()
      if (rows !== undefined) yield* runPlan(model, model.opened.weights, block, rows, tokens, out.work, hessians)
      const made = new Map<string, Quantized>()
      for (const each of matrices) {
        const hessian = rows && hessianOf(hessians, each, block)
        made.set(each.tensor.name, yield* attempt(() => quantizeMatrix(each, matrix, hessian)))
        yield* Effect.yieldNow()
      }
      yield* attempt(() => {
        out.write(block + 1, [...naming.others(block), ...[...made.values()].flatMap(({ tensors }) => tensors)])
      })
      if (rows !== undefined && block + 1 < model.blocks) {
        const next = replaced(model.opened.weights, made)
        const outputs: Float32Array = yield* runPlan(model, next, block, rows, tokens, out.work)
        rows = outputs
        yield* attempt(() => out.saveRows(block + 1, outputs))
      }
      onBlock?.(block, model.blocks)
    }
    yield* attempt(() => out.finish(descriptionOf(model, quantizationConfig(matrix))))
  })

/** The common length of the texts. */
const lengthOf = (texts: ReadonlyArray<ReadonlyArray<number>>, most: number): number => {
  const length = texts[0]?.length ?? 0
  if (length < 2 || length > most || texts.some((text) => text.length !== length)) {
    throw new RangeError(`GPTQ needs calibration texts of one length, 2 to ${most} tokens`)
  }
  return length
}

const checkBlock = (
  { architecture }: Model,
  matrices: ReadonlyArray<BlockMatrix>,
  { to, group }: MatrixOptions
): void => {
  if (architecture.feedForward.experts !== undefined) throw new RangeError("mixtures of experts are not supported")
  if (matrices.length === 0) throw new RangeError("a block has no matrices")
  if (!(Number.isInteger(group) && group >= 16)) throw new RangeError(`groups of ${group} are too small: 16 or more`)
  if (to === "nf4" || to === "int8") return
  for (const { stem, rows, columns } of matrices) {
    if (rows % 8 !== 0 || columns % 8 !== 0) {
      throw new RangeError(`"${stem}" (${rows}, ${columns}) does not fill the words of the layout`)
    }
  }
}

const runPlan = (
  { architecture }: Model,
  weights: Weights,
  block: number,
  rows: Float32Array,
  tokens: number,
  folder: string,
  hessians?: Hessians
): Effect.Effect<Float32Array, EngineError | QuantizeError, Engine> =>
  Effect.flatMap(Engine, (engine) => {
    const options = { weights: "f32", activations: "f32", maxPositions: tokens } as const
    const plan = planSpan(architecture, weights, block, block + 1, options)
    return runBlock(engine, plan, rows, tokens, folder, hessians)
  })

/** Names of layers that are fused because they share an input, by role. */
const FUSED: Readonly<Partial<Record<BlockRole, string>>> = {
  "attn.q": "attn.qkv",
  "attn.k": "attn.qkv",
  "attn.v": "attn.qkv",
  "mlp.gate": "mlp.gateUp",
  "mlp.up": "mlp.gateUp"
}

const hessianOf = (hessians: Hessians, { roles }: BlockMatrix, block: number): Float64Array | undefined => {
  const [role] = roles
  const names = role === undefined ? [] : [role, FUSED[role]]
  return names.map((name) => hessians.get(`block_${block}.${name}.weight`)).find((found) => found !== undefined)
}

/** The weights with other values in place of those of some tensors. */
const replaced = (weights: Weights, values: ReadonlyMap<string, Quantized>): Weights => ({
  ...weights,
  weight: (...place) => {
    const source = weights.weight(...place)
    const made = values.get(source.tensor.name)?.values
    return made === undefined ? source : inMemory(source, made)
  }
})

const inMemory = ({ checkpoint, tensor, ...place }: Slice, values: Float32Array): Slice => ({
  ...place,
  checkpoint: {
    ...checkpoint,
    read: (_, offset, length) => new Uint8Array(values.buffer, values.byteOffset + offset, length)
  },
  tensor: { name: tensor.name, type: "f32", shape: tensor.shape, bytes: values.byteLength }
})
