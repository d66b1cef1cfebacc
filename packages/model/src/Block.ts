/**
 * One block of a decoder: its parameters, and the nodes that compute it for one or several sessions.
 * @module
 */
import type { Value } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { attention } from "./attention.ts"
import { readFloats, type Slice } from "./Checkpoint.ts"
import type { BlockRole } from "./Family.ts"
import { CONTRIB, type Operators } from "./internal/operators.ts"
import { canFuse, inputOrder, type Linear, type LinearExtras, type LinearOptions, makeLinear } from "./Linear.ts"
import { Unsupported } from "./ModelError.ts"
import type { Initializer } from "./Plan.ts"
import type { Weights } from "./Weights.ts"

/** The parameters of a block. Layers that share an input are one layer where their formats agree. */
export interface Block {
  readonly index: number
  readonly attentionNorm: Initializer
  /** One fused layer, or q, k and v. */
  readonly qkv: ReadonlyArray<Linear>
  readonly qNorm: Initializer | undefined
  readonly kNorm: Initializer | undefined
  readonly output: Linear
  readonly feedForwardNorm: Initializer
  /** One fused layer, or gate and up. */
  readonly gateUp: ReadonlyArray<Linear>
  readonly down: Linear
}

/** What all blocks of one graph share. */
export interface GraphContext {
  readonly operators: Operators
  readonly architecture: Architecture
  readonly sessions: number
  readonly duplicate: boolean
}

/** The residual stream as two addends: a norm adds them on its way. */
export interface Residual {
  readonly stream: Value
  readonly branch: Value | undefined
}

/** Throws `Unsupported` for what these graphs do not compute. */
export const assertSupported = (a: Architecture): void => {
  const refuse = (feature: string, detail = "the graph builder has no form for it"): never => {
    throw new Unsupported({ feature, detail })
  }
  if (a.norm.kind !== "rms") refuse("Layer norm")
  if ((a.norm.placement ?? "before") !== "before") refuse("A norm after the branches")
  if (a.feedForward.kind !== "gated") refuse("A feed-forward layer without a gate")
  if (a.feedForward.experts !== undefined) refuse("Mixture of experts")
  if (a.feedForward.activation !== "silu") refuse(`Activation "${a.feedForward.activation}"`)
  if (a.attention.alibi) refuse("A linear position bias")
  if (a.parallelResidual !== undefined) refuse("A parallel residual")
  if (a.learnedPositions !== undefined) refuse("A learned position table")
  if (a.embeddingNorm) refuse("A norm of the embedding")
  if (a.encoder) refuse("An encoder")
}

/** A norm's weight as f32. */
export const vector = (name: string, source: Slice, unitOffset = false): Initializer => ({
  name,
  type: "f32",
  shape: [source.columns],
  bytes: source.columns * 4,
  read: () => {
    const values = readFloats(source)
    return unitOffset ? values.map((value) => value + 1) : values
  }
})

/** The parameters of block `index`. Reads nothing yet. */
export const makeBlock = (
  architecture: Architecture,
  weights: Weights,
  index: number,
  options: LinearOptions
): Block => {
  const stem = `block_${index}`
  const norm = (role: BlockRole) => vector(`${stem}.${role}`, weights.weight(role, index), architecture.norm.unitOffset)
  const part = (role: BlockRole) => ({ weight: weights.weight(role, index), bias: weights.bias(role, index) })
  const single = (role: BlockRole, extras: LinearExtras = {}) =>
    makeLinear(`${stem}.${role}`, [part(role)], options, extras)
  const fused = (name: string, roles: ReadonlyArray<BlockRole>, extras: LinearExtras) => {
    const parts = roles.map(part)
    return canFuse(parts, options)
      ? [makeLinear(`${stem}.${name}`, parts, options, extras)]
      : roles.map((role) => single(role, extras))
  }
  const outputs = inputOrder(part("mlp.down"), options)
  const normed = architecture.attention.qkNorm !== undefined
  // q, k, v are a sixth of a block's weights: twice the rows cost little there, and with int8 activations the first
  // choice of SmolLM2 agrees with that of float at 97.4 instead of 96.8 of 100 positions
  return {
    index,
    attentionNorm: norm("attn.norm"),
    qkv: fused("attn.qkv", ["attn.q", "attn.k", "attn.v"], { rounding: "double" }),
    qNorm: normed ? norm("attn.qNorm") : undefined,
    kNorm: normed ? norm("attn.kNorm") : undefined,
    output: single("attn.output"),
    feedForwardNorm: norm("mlp.norm"),
    gateUp: fused("mlp.gateUp", ["mlp.gate", "mlp.up"], { outputs }),
    down: single("mlp.down", { ordered: true })
  }
}

/** Every weight of a block, in the order of their use. */
export const blockInitializers = (block: Block): ReadonlyArray<Initializer> => [
  block.attentionNorm,
  ...block.qkv.flatMap((layer) => layer.initializers),
  ...(block.qNorm === undefined ? [] : [block.qNorm]),
  ...(block.kNorm === undefined ? [] : [block.kNorm]),
  ...block.output.initializers,
  block.feedForwardNorm,
  ...block.gateUp.flatMap((layer) => layer.initializers),
  ...block.down.initializers
]

/** Adds the nodes of a block. */
export const applyBlock = (context: GraphContext, block: Block, residual: Residual): Residual => {
  const attended = addAndNorm(context, residual, block.attentionNorm.name)
  const first = { stream: attended.stream, branch: scaled(context, attention(context, block, attended.normed)) }
  const fed = addAndNorm(context, first, block.feedForwardNorm.name)
  return { stream: fed.stream, branch: scaled(context, feedForward(context, block, fed.normed)) }
}

const scaled = ({ operators, architecture: { residualScale = 1 } }: GraphContext, branch: Value): Value =>
  residualScale === 1 ? branch : operators.graph.node("Mul", [branch, operators.scalar(residualScale)])

const addAndNorm = (context: GraphContext, { stream, branch }: Residual, weight: Value) => {
  const { operators, architecture } = context
  const { epsilon } = architecture.norm
  if (branch === undefined) return { stream, normed: operators.rmsNorm(stream, weight, epsilon) }
  const outputs = [`${weight}/normed`, "", "", `${weight}/stream`]
  operators.graph.nodes("SkipSimplifiedLayerNormalization", [stream, branch, weight], outputs, {
    domain: CONTRIB,
    attributes: { epsilon: { f: epsilon } }
  })
  return { stream: `${weight}/stream`, normed: `${weight}/normed` }
}

const feedForward = ({ operators, architecture }: GraphContext, block: Block, x: Value): Value => {
  const { graph } = operators
  const { size } = architecture.feedForward
  const results = block.gateUp.map((layer) => layer.apply(operators, x))
  const [gate = "", up = ""] = results.length === 1 ? operators.splitLast(results[0] ?? "", [size, size]) : results
  const silu = graph.node("QuickGelu", [gate], { domain: CONTRIB, attributes: { alpha: { f: 1 } } })
  return block.down.apply(operators, graph.node("Mul", [silu, up]))
}
