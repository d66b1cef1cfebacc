/**
 * The plan of a span of blocks.
 * @module
 */
import type { ExternalData } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { assertSupported } from "./assertSupported.ts"
import { applyBlock, blockInitializers, blockLinears, makeBlock, type Residual } from "./Block.ts"
import { cutGraph } from "./internal/cutGraph.ts"
import { observing } from "./internal/observing.ts"
import { makeOperators } from "./internal/operators.ts"
import { declare, linearOptions, notesOf } from "./internal/planning.ts"
import { takeOnce } from "./internal/takeOnce.ts"
import type { GraphOptions, Initializer, PlanOptions, SpanPlan } from "./Plan.ts"
import { rotaryTables } from "./Rotary.ts"
import { shardModel } from "./Shard.ts"
import type { Weights } from "./Weights.ts"

/**
 * The plan of blocks [from, to). Throws `RangeError` for bad bounds or options, `Unsupported` for the architecture,
 * `PlanError` for what cannot be cut among the ranks.
 */
export const planSpan = (
  whole: Architecture,
  all: Weights,
  from: number,
  to: number,
  options: PlanOptions = {}
): SpanPlan => {
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= whole.blocks)) {
    throw new RangeError(`Cannot plan blocks ${from} to ${to}: the model has ${whole.blocks}`)
  }
  assertSupported(whole)
  const { architecture, weights } =
    options.shard === undefined ? { architecture: whole, weights: all } : shardModel(whole, all, options.shard)
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
  const layers = blocks.flatMap(blockLinears)
  const folds = layers.flatMap(({ fold }) => fold ?? [])
  const replaced = new Set(folds.map(({ replaces }) => replaces))
  const { hiddenSize } = architecture
  const build = (
    { sessions, duplicate, folded = false, observe = false }: GraphOptions,
    locate: (name: string) => ExternalData
  ) => {
    if (!(Number.isInteger(sessions) && sessions >= 1)) throw new RangeError(`Cannot run ${sessions} sessions at once`)
    const { builder, cut, segments } = cutGraph(`blocks ${from} to ${to}`)
    const observed = observing(builder, observe ? initializers : [])
    const g = observed.builder
    declare(g, folded ? initializers.filter(({ name }) => !replaced.has(name)) : initializers, locate)
    const x = g.input("x", "f32", [1, "tokens", hiddenSize])
    if (sessions > 1) g.input("split", "i64", [sessions])
    for (let s = 0; s < sessions; s++) {
      g.input(`last_${s}`, "i32", [1])
      g.input(`total_${s}`, "i32", [1])
    }
    const context = { operators: makeOperators(g, 3, folded), architecture, sessions, duplicate, cut }
    let residual: Residual = { stream: x, branch: undefined }
    for (const block of blocks) residual = applyBlock(context, block, residual)
    const { stream, branch } = residual
    const y =
      branch === undefined
        ? g.node("Identity", [stream], { name: "y" })
        : g.node("Add", [stream, branch], { name: "y" })
    g.output(y, "f32", [1, "tokens", hiddenSize])
    observed.expose()
    return { bytes: g.bytes, segments: () => segments(x, [1, "tokens", hiddenSize]) }
  }
  return {
    from,
    to,
    hiddenSize,
    kvHeads: architecture.attention.kvHeads,
    headDim: architecture.attention.headDim,
    kvType: "f32",
    encoder: architecture.encoder ?? false,
    maxPositions,
    initializers,
    matrices: layers.flatMap(({ matrices }) => matrices),
    notes: notesOf(layers),
    folds,
    graph: (graphOptions, locate) => build(graphOptions, locate).bytes(),
    segments: (graphOptions, locate) => build(graphOptions, locate).segments()
  }
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
