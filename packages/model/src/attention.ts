/**
 * The attention branch of a block: projections for all sessions at once, then each session over its own KV cache.
 * @module
 */
import { dataType, type Value } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import type { Block, GraphContext } from "./Block.ts"
import { CONTRIB, type Operators } from "./internal/operators.ts"
import { applyNorm, type NormLayer } from "./norm.ts"

/** The attention branch: x normed (1, tokens, hidden) to the same shape. */
export const attention = (context: GraphContext, block: Block, x: Value): Value => {
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
  const inKernel = !architecture.encoder && architecture.attention.headDim % 16 === 0 && rotary.dims % 16 === 0
  return { ...rotary, inKernel, cos: `rotary_${number}.cos`, sin: `rotary_${number}.sin` }
}

/** [qkv] where one layer computes them and nothing comes between it and the attention, else [q, k, v]. */
const queryKeyValue = ({ operators, architecture }: GraphContext, block: Block, x: Value): ReadonlyArray<Value> => {
  const { heads, kvHeads, headDim, qkNorm } = architecture.attention
  const results = block.qkv.map((layer) => layer.apply(operators, x))
  const split = architecture.encoder || qkNorm !== undefined
  if (!split && rotaryOf(architecture, block.index)?.inKernel !== false) return results
  const sizes = [heads * headDim, kvHeads * headDim, kvHeads * headDim]
  const [q = "", k = "", v = ""] = results.length === 1 ? operators.splitLast(results[0] ?? "", sizes) : results
  const norm = (value: Value, layer: NormLayer | undefined, count: number): Value => {
    if (layer === undefined) return value
    const apply = (input: Value) => applyNorm(operators, layer, input)
    if (qkNorm === "all") return apply(value)
    return operators.reshape(apply(operators.reshape(value, [1, -1, count, headDim])), [1, -1, count * headDim])
  }
  return [norm(q, block.qNorm, heads), norm(k, block.kNorm, kvHeads), v]
}

/** The attention of one session: over its KV cache, which is updated in place, or for an encoder over its own rows. */
const attend = (context: GraphContext, block: Block, session: number, qkv: ReadonlyArray<Value>): Value => {
  const { operators, architecture, duplicate } = context
  const { heads, kvHeads } = architecture.attention
  const rotary = rotaryOf(architecture, block.index)
  const turn = (x: Value, count: number) =>
    rotary === undefined || rotary.inKernel ? x : rotate(context, rotary, x, count, session)
  if (architecture.encoder) {
    const [q = "", k = "", v = ""] = qkv
    const turned = turn(q, heads)
    const result = attendBoth(context, duplicate ? repeatLast(operators, turned) : turned, turn(k, kvHeads), v)
    return duplicate ? dropLast(operators, result) : result
  }
  const [q = "", k = "", v = ""] = duplicate ? qkv.map((value) => repeatLast(operators, value)) : qkv
  const result = attendCached(context, block, session, [turn(q, heads), k === "" ? k : turn(k, kvHeads), v], rotary)
  return duplicate ? dropLast(operators, result) : result
}

/** Each query over all keys, before it and behind it. */
const attendBoth = ({ operators, architecture }: GraphContext, q: Value, k: Value, v: Value): Value =>
  operators.graph.node("MultiHeadAttention", [q, k, v], {
    domain: CONTRIB,
    attributes: { num_heads: { i: architecture.attention.heads }, scale: { f: architecture.attention.scale } }
  })

/** Each query over the keys of the cache up to its own. */
const attendCached = (
  context: GraphContext,
  block: Block,
  session: number,
  qkv: readonly [Value, Value, Value],
  rotary: ReturnType<typeof rotaryOf>
): Value => {
  const { operators, architecture } = context
  const { graph } = operators
  const { heads, kvHeads, headDim, scale, softCap, alibi } = architecture.attention
  const window = architecture.layers[block.index]?.window
  const cache = (kind: string) => `${kind}_${block.index}_${session}`
  const shape = [1, kvHeads, `capacity_${session}`, headDim]
  const past = (["past_k", "past_v"] as const).map((kind) => graph.input(cache(kind), "f32", shape))
  const present = [cache("present_k"), cache("present_v")]
  const result = `block_${block.index}/attended_${session}`
  const tables = rotary?.inKernel ? [rotary.cos, rotary.sin] : []
  const bias =
    alibi === undefined ? [] : [...(tables.length > 0 ? [] : ["", ""]), "", alibiBias(context, alibi, qkv[0], session)]
  graph.nodes(
    "GroupQueryAttention",
    [...qkv, ...past, `last_${session}`, `total_${session}`, ...tables, ...bias],
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
  return result
}

/**
 * What linear position biases add to the scores of a session: slope * (key - query), f32 (1, heads, rows, total). The
 * rows are those of `q` and end at position total - 1. Made once for all blocks; as large as the scores themselves.
 * @see {@link https://arxiv.org/abs/2108.12409} ALiBi, section 3
 */
const alibiBias = ({ operators }: GraphContext, slopes: ReadonlyArray<number>, q: Value, session: number): Value =>
  operators.once(`alibi_${session}`, () => {
    const { graph, scalar, reshape } = operators
    const total = graph.node("Cast", [reshape(`total_${session}`, [])], { attributes: { to: { i: dataType("f32") } } })
    const rows = graph.node("Shape", [q], { attributes: { start: { i: 1 }, end: { i: 2 } } })
    const count = graph.node("Cast", [reshape(rows, [])], { attributes: { to: { i: dataType("f32") } } })
    const keys = graph.node("Range", [scalar(0), total, scalar(1)])
    const queries = graph.node("Range", [graph.node("Sub", [total, count]), total, scalar(1)])
    const distances = graph.node("Sub", [keys, reshape(queries, [-1, 1])])
    const name = "alibi/slopes"
    const perHead = operators.once(name, () =>
      graph.constant(name, "f32", [1, slopes.length, 1, 1], Float32Array.from(slopes))
    )
    return graph.node("Mul", [perHead, distances])
  })

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
