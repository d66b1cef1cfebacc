/**
 * Plans of spans, of the head and of the embedding.
 * @module
 */
import { type ExternalData, type GraphBuilder, graph } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { applyBlock, assertSupported, blockInitializers, makeBlock, type Residual, vector } from "./Block.ts"
import { readFloats, slice } from "./Checkpoint.ts"
import { makeOperators } from "./internal/operators.ts"
import { takeOnce } from "./internal/takeOnce.ts"
import { type LinearOptions, makeLinear } from "./Linear.ts"
import { Unsupported } from "./ModelError.ts"
import type { Embedding, HeadPlan, Initializer, PlanOptions, SpanPlan } from "./Plan.ts"
import { rotaryTables } from "./Rotary.ts"
import type { Weights } from "./Weights.ts"

const linearOptions = ({ weights = "as-is", group = 32, activations = "int8" }: PlanOptions): LinearOptions => {
  if (![32, 64, 128].includes(group)) throw new RangeError(`Cannot quantize in groups of ${group}: take 32, 64 or 128`)
  return { weights, group, activations }
}

/** The plan of blocks [from, to). Throws `RangeError` for bad bounds or options, `Unsupported` for the architecture. */
export const planSpan = (
  architecture: Architecture,
  weights: Weights,
  from: number,
  to: number,
  options: PlanOptions = {}
): SpanPlan => {
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= architecture.blocks)) {
    throw new RangeError(`Cannot plan blocks ${from} to ${to}: the model has ${architecture.blocks}`)
  }
  assertSupported(architecture)
  const linear = linearOptions(options)
  const maxPositions = options.maxPositions ?? architecture.contextLength
  if (!(Number.isInteger(maxPositions) && maxPositions >= 1 && maxPositions <= architecture.contextLength)) {
    throw new RangeError(`Cannot plan ${maxPositions} positions: the model was made for ${architecture.contextLength}`)
  }
  const blocks = Array.from({ length: to - from }, (_, i) => makeBlock(architecture, weights, from + i, linear))
  const initializers = [
    ...rotaryInitializers(architecture, from, to, maxPositions),
    ...blocks.flatMap(blockInitializers)
  ]
  const layers = blocks.flatMap((block) => [...block.qkv, block.output, ...block.gateUp, block.down])
  const { hiddenSize } = architecture
  return {
    from,
    to,
    hiddenSize,
    kvHeads: architecture.attention.kvHeads,
    headDim: architecture.attention.headDim,
    kvType: "f32",
    maxPositions,
    initializers,
    notes: notesOf(layers),
    graph: ({ sessions, duplicate }, locate) => {
      if (!(Number.isInteger(sessions) && sessions >= 1))
        throw new RangeError(`Cannot run ${sessions} sessions at once`)
      const g = graph({ name: `blocks ${from} to ${to}` })
      declare(g, initializers, locate)
      const x = g.input("x", "f32", [1, "tokens", hiddenSize])
      if (sessions > 1) g.input("split", "i64", [sessions])
      for (let s = 0; s < sessions; s++) {
        g.input(`last_${s}`, "i32", [1])
        g.input(`total_${s}`, "i32", [1])
      }
      const context = { operators: makeOperators(g, 3), architecture, sessions, duplicate }
      let residual: Residual = { stream: x, branch: undefined }
      for (const block of blocks) residual = applyBlock(context, block, residual)
      const y = g.node("Add", [residual.stream, residual.branch ?? ""], { name: "y" })
      g.output(y, "f32", [1, "tokens", hiddenSize])
      return g.bytes()
    }
  }
}

/** The plan of the final norm and the output matrix. q4 becomes q8 here: logits suffer most from coarse weights. */
export const planHead = (architecture: Architecture, weights: Weights, options: PlanOptions = {}): HeadPlan => {
  assertSupported(architecture)
  const asked = linearOptions(options)
  const linear: LinearOptions = asked.weights === "q4" ? { ...asked, weights: "q8" } : asked
  const { hiddenSize, vocabSize, norm, logitScale = 1, logitSoftCap } = architecture
  const gain = vector("norm", weights.weight("norm"), norm.unitOffset)
  const matrix = makeLinear("head", [{ weight: weights.weight("head"), bias: weights.bias("head") }], linear, "double")
  const initializers = [gain, ...matrix.initializers]
  return {
    hiddenSize,
    vocabSize,
    initializers,
    notes: notesOf([matrix]),
    graph: (locate) => {
      const g = graph({ name: "head" })
      declare(g, initializers, locate)
      const operators = makeOperators(g, 2)
      const normed = operators.rmsNorm(g.input("x", "f32", ["rows", hiddenSize]), gain.name, norm.epsilon)
      let logits = matrix.apply(operators, normed)
      if (logitScale !== 1) logits = g.node("Mul", [logits, operators.scalar(logitScale)])
      if (logitSoftCap !== undefined) {
        const bounded = g.node("Tanh", [g.node("Div", [logits, operators.scalar(logitSoftCap)])])
        logits = g.node("Mul", [bounded, operators.scalar(logitSoftCap)])
      }
      g.output(g.node("Identity", [logits], { name: "logits" }), "f32", ["rows", vocabSize])
      return g.bytes()
    }
  }
}

/** Rows of the embedding matrix, read one by one. */
export const planEmbedding = (architecture: Architecture, weights: Weights): Embedding => {
  if (architecture.learnedPositions !== undefined || architecture.embeddingNorm) {
    throw new Unsupported({ feature: "An embedding with positions or a norm", detail: "rows are looked up and scaled" })
  }
  const { hiddenSize, vocabSize, embeddingScale = 1 } = architecture
  const { checkpoint, tensor } = weights.weight("embedding")
  return {
    lookup: (ids) => {
      for (const id of ids) {
        if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
          throw new RangeError(`Cannot embed token ${id}: the vocabulary has ${vocabSize}`)
        }
      }
      const out = new Float32Array(ids.length * hiddenSize)
      ids.forEach((id, i) => {
        readFloats(slice(checkpoint, tensor, id, id + 1), out.subarray(i * hiddenSize, (i + 1) * hiddenSize))
      })
      if (embeddingScale !== 1) for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) * embeddingScale
      return out
    }
  }
}

const declare = (g: GraphBuilder, initializers: ReadonlyArray<Initializer>, locate: (name: string) => ExternalData) => {
  for (const { name, type, shape } of initializers) g.external(name, type, shape, locate(name))
}

/** Tables of the rotary embeddings that the span uses, with a spare row for the scratch token (see `SpanPlan`). */
const rotaryInitializers = (a: Architecture, from: number, to: number, positions: number): Array<Initializer> => {
  const used = new Set(a.layers.slice(from, to).flatMap((layer) => layer.rotary ?? []))
  return [...used].sort().flatMap((index) => {
    const rotary = a.rotaries[index]
    if (rotary === undefined) throw new RangeError(`The architecture has no rotary embedding ${index}`)
    const take = takeOnce(() => ({ ...rotaryTables(rotary, positions + 1) }))
    const shape = [positions + 1, rotary.dims / 2]
    return (["cos", "sin"] as const).map((part) => ({
      name: `rotary_${index}.${part}`,
      type: "f32" as const,
      shape,
      bytes: (positions + 1) * (rotary.dims / 2) * 4,
      read: () => take(part)
    }))
  })
}

/** Each note once, with the number of layers that it is about. */
const notesOf = (layers: ReadonlyArray<{ readonly note: string | undefined }>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { note } of layers) if (note !== undefined) counts.set(note, (counts.get(note) ?? 0) + 1)
  return [...counts].map(([note, count]) => (count === 1 ? note : `${note} (${count} layers)`))
}
