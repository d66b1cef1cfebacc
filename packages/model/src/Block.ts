/**
 * One block of a decoder: its parameters, and the nodes that compute it for one or several sessions.
 * @module
 */
import { dataType, type Value } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { readFloats, type Slice } from "./Checkpoint.ts"
import type { BlockRole } from "./Family.ts"
import { CONTRIB, type Operators } from "./internal/operators.ts"
import { canFuse, type Linear, type LinearOptions, makeLinear, type Rounding } from "./Linear.ts"
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
  const single = (role: BlockRole, rounding: Rounding = "plain") =>
    makeLinear(`${stem}.${role}`, [part(role)], options, rounding)
  const fused = (name: string, roles: ReadonlyArray<BlockRole>) => {
    const parts = roles.map(part)
    return canFuse(parts, options)
      ? [makeLinear(`${stem}.${name}`, parts, options, "centred")]
      : roles.map((role) => single(role, "centred"))
  }
  // inputs of q, k, v and of gate, up come out of a norm, whose few great channels cost the others most (docs: numerics)
  const normed = architecture.attention.qkNorm !== undefined
  return {
    index,
    attentionNorm: norm("attn.norm"),
    qkv: fused("attn.qkv", ["attn.q", "attn.k", "attn.v"]),
    qNorm: normed ? norm("attn.qNorm") : undefined,
    kNorm: normed ? norm("attn.kNorm") : undefined,
    output: single("attn.output"),
    feedForwardNorm: norm("mlp.norm"),
    gateUp: fused("mlp.gateUp", ["mlp.gate", "mlp.up"]),
    down: single("mlp.down")
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

const attention = (context: GraphContext, block: Block, x: Value): Value => {
  const { operators, sessions } = context
  const { graph } = operators
  const projected = queryKeyValue(context, block, x)
  // per session, the same part of q, k and v (or of all three in one)
  const parts = projected.map((value, i) => {
    if (sessions === 1) return [value]
    const names = Array.from({ length: sessions }, (_, s) => `block_${block.index}/qkv_${i}_${s}`)
    return graph.nodes("Split", [value, "split"], names, { attributes: { axis: { i: 1 } } })
  })
  const results = Array.from({ length: sessions }, (_, s) =>
    attend(
      context,
      block,
      s,
      parts.map((part) => part[s] ?? "")
    )
  )
  const joined = sessions === 1 ? (results[0] ?? "") : graph.node("Concat", results, { attributes: { axis: { i: 1 } } })
  return block.output.apply(operators, joined)
}

/** The rotary embedding of a block, and whether the attention kernel applies it: it takes multiples of 16 only. */
const rotaryOf = (architecture: Architecture, index: number) => {
  const number = architecture.layers[index]?.rotary
  const rotary = number === undefined ? undefined : architecture.rotaries[number]
  if (rotary === undefined) return undefined
  const inKernel = architecture.attention.headDim % 16 === 0 && rotary.dims % 16 === 0
  return { ...rotary, inKernel, cos: `rotary_${number}.cos`, sin: `rotary_${number}.sin` }
}

/** [qkv] where one layer computes them and nothing comes between it and the attention, else [q, k, v]. */
const queryKeyValue = ({ operators, architecture }: GraphContext, block: Block, x: Value): ReadonlyArray<Value> => {
  const { heads, kvHeads, headDim, qkNorm } = architecture.attention
  const results = block.qkv.map((layer) => layer.apply(operators, x))
  if (qkNorm === undefined && rotaryOf(architecture, block.index)?.inKernel !== false) return results
  const sizes = [heads * headDim, kvHeads * headDim, kvHeads * headDim]
  const [q = "", k = "", v = ""] = results.length === 1 ? operators.splitLast(results[0] ?? "", sizes) : results
  const norm = (value: Value, weight: Initializer | undefined, count: number): Value => {
    if (weight === undefined) return value
    const apply = (input: Value) => operators.rmsNorm(input, weight.name, architecture.norm.epsilon)
    if (qkNorm === "all") return apply(value)
    return operators.reshape(apply(operators.reshape(value, [1, -1, count, headDim])), [1, -1, count * headDim])
  }
  return [norm(q, block.qNorm, heads), norm(k, block.kNorm, kvHeads), v]
}

/** The attention of one session over its KV cache, which is updated in place. */
const attend = (context: GraphContext, block: Block, session: number, qkv: ReadonlyArray<Value>): Value => {
  const { operators, architecture, duplicate } = context
  const { graph } = operators
  const { heads, kvHeads, headDim, scale, softCap } = architecture.attention
  const window = architecture.layers[block.index]?.window
  const rotary = rotaryOf(architecture, block.index)
  const cache = (kind: string) => `${kind}_${block.index}_${session}`
  const shape = [1, kvHeads, `capacity_${session}`, headDim]
  let [q = "", k = "", v = ""] = duplicate ? qkv.map((value) => repeatLast(operators, value)) : qkv
  if (rotary?.inKernel === false) {
    q = rotate(context, rotary, q, heads, session)
    k = rotate(context, rotary, k, kvHeads, session)
  }
  const past = (["past_k", "past_v"] as const).map((kind) => graph.input(cache(kind), "f32", shape))
  const present = [cache("present_k"), cache("present_v")]
  const result = `block_${block.index}/attended_${session}`
  graph.nodes(
    "GroupQueryAttention",
    [
      ...[q, k, v, ...past, `last_${session}`, `total_${session}`],
      ...(rotary?.inKernel ? [rotary.cos, rotary.sin] : [])
    ],
    [result, ...present],
    {
      domain: CONTRIB,
      attributes: {
        num_heads: { i: heads },
        kv_num_heads: { i: kvHeads },
        scale: { f: scale },
        do_rotary: { i: rotary?.inKernel ? 1 : 0 },
        rotary_interleaved: { i: rotary?.interleaved ? 1 : 0 },
        ...(window === undefined ? {} : { local_window_size: { i: window } }),
        ...(softCap === undefined ? {} : { softcap: { f: softCap } })
      }
    }
  )
  for (const name of present) graph.output(name, "f32", shape)
  return duplicate ? dropLast(operators, result) : result
}

/** The rotary embedding as a node of its own: x (1, rows, heads * headDim), rows ending at position total - 1. */
const rotate = (
  { operators, architecture }: GraphContext,
  { interleaved, dims, cos, sin }: NonNullable<ReturnType<typeof rotaryOf>>,
  x: Value,
  heads: number,
  session: number
): Value => {
  const { graph } = operators
  const rows = graph.node("Shape", [x], { attributes: { start: { i: 1 }, end: { i: 2 } } })
  const total = graph.node("Cast", [`total_${session}`], { attributes: { to: { i: dataType("i64") } } })
  return graph.node("RotaryEmbedding", [x, graph.node("Sub", [total, rows]), cos, sin], {
    domain: CONTRIB,
    attributes: {
      interleaved: { i: interleaved ? 1 : 0 },
      num_heads: { i: heads },
      rotary_embedding_dim: { i: dims < architecture.attention.headDim ? dims : 0 }
    }
  })
}

const repeatLast = ({ graph, ints }: Operators, x: Value): Value => {
  const last = graph.node("Slice", [x, ints([-1]), ints([2 ** 31]), ints([1])])
  return graph.node("Concat", [x, last], { attributes: { axis: { i: 1 } } })
}

const dropLast = ({ graph, ints }: Operators, x: Value): Value =>
  graph.node("Slice", [x, ints([0]), ints([-1]), ints([1])])
