/**
 * What the metadata of decoders in GGUF files has in common.
 * @see {@link https://github.com/ggml-org/ggml/blob/master/docs/gguf.md}
 * @module
 */
import { type Architecture, type Attention, limits, type Rotary, type RotaryScaling } from "../Architecture.ts"
import type { Description, TensorNames } from "../Family.ts"
import { Unsupported } from "../ModelError.ts"

/** What a family adds to the common fields. */
export interface GgufOptions {
  readonly family: string
  /** Llama's q and k rows are stored in the order of interleaved pairs. */
  readonly interleaved: boolean
  readonly qkNorm?: Attention["qkNorm"]
}

/** Names that converters give to the tensors of every decoder. */
export const ggufNames: TensorNames = {
  embedding: "token_embd",
  norm: "output_norm",
  head: "output",
  "attn.norm": "blk.{}.attn_norm",
  "attn.q": "blk.{}.attn_q",
  "attn.k": "blk.{}.attn_k",
  "attn.v": "blk.{}.attn_v",
  "attn.output": "blk.{}.attn_output",
  "attn.qNorm": "blk.{}.attn_q_norm",
  "attn.kNorm": "blk.{}.attn_k_norm",
  "mlp.norm": "blk.{}.ffn_norm",
  "mlp.gate": "blk.{}.ffn_gate",
  "mlp.up": "blk.{}.ffn_up",
  "mlp.down": "blk.{}.ffn_down"
}

/** Rotary factors: read into the descriptor, not into the graph. */
const FACTORS = "rope_freqs.weight"

/** Tensors that the descriptor has taken in. */
export const ggufIgnored: ReadonlyArray<RegExp> = [/^rope_freqs\.weight$/]

/** The descriptor of a pre-norm decoder with rotary attention and a gated feed-forward. */
export const describeGguf = (description: Description, options: GgufOptions): Architecture => {
  const { fields, has, shape } = description
  const blocks = fields.need("block_count", fields.size("block_count", limits.blocks))
  const hiddenSize = fields.need("embedding_length", fields.size("embedding_length", limits.hiddenSize))
  const heads = fields.need("attention.head_count", fields.size("attention.head_count", limits.heads))
  const kvHeads = fields.size("attention.head_count_kv", limits.heads) ?? heads
  const headDim = fields.size("attention.key_length", limits.headDim) ?? hiddenSize / heads
  if (!Number.isInteger(headDim)) throw fields.fail("attention.head_count", `is ${heads}, no divisor of ${hiddenSize}`)
  if (heads % kvHeads !== 0) throw fields.fail("attention.head_count_kv", `is ${kvHeads}, no divisor of ${heads}`)
  if ((fields.size("attention.value_length", limits.headDim) ?? headDim) !== headDim) {
    throw new Unsupported({ feature: "A value length", detail: "it must be the key length" })
  }
  if (fields.has("expert_count") && fields.number("expert_count") !== 0) {
    throw new Unsupported({ feature: "Mixture of experts", detail: `family "${options.family}" is dense` })
  }
  const vocabSize = fields.size("vocab_size", limits.vocabSize) ?? shape("token_embd.weight")?.[0]
  const window = fields.size("attention.sliding_window", limits.contextLength)
  return {
    family: options.family,
    blocks,
    hiddenSize,
    vocabSize: fields.need("vocab_size", vocabSize),
    contextLength: fields.need("context_length", fields.size("context_length", limits.contextLength)),
    norm: {
      kind: "rms",
      epsilon: fields.need("attention.layer_norm_rms_epsilon", fields.positive("attention.layer_norm_rms_epsilon"))
    },
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: fields.positive("attention.scale") ?? 1 / Math.sqrt(headDim),
      bias: { qkv: has("blk.0.attn_q.bias"), output: has("blk.0.attn_output.bias") },
      ...(options.qkNorm === undefined ? {} : { qkNorm: options.qkNorm })
    },
    feedForward: {
      kind: "gated",
      activation: "silu",
      size: fields.need("feed_forward_length", fields.size("feed_forward_length", limits.feedForwardSize)),
      bias: has("blk.0.ffn_up.bias")
    },
    layers: Array.from({ length: blocks }, () => ({ rotary: 0, ...(window === undefined ? {} : { window }) })),
    rotaries: [rotary(description, options, headDim)],
    tiedEmbeddings: !has("output.weight")
  }
}

const rotary = ({ fields, values }: Description, options: GgufOptions, headDim: number): Rotary => {
  const dims = fields.size("rope.dimension_count", headDim) ?? headDim
  if (dims % 2 !== 0) throw fields.fail("rope.dimension_count", `is ${dims}, an odd number`)
  const factors = values(FACTORS)
  if (factors !== undefined && factors.length !== dims / 2) {
    throw fields.fail("rope.dimension_count", `is ${dims}, but "${FACTORS}" has ${factors.length} values`)
  }
  const scaling: RotaryScaling | undefined = factors === undefined ? scalingOf(fields) : { kind: "factors", factors }
  return {
    base: fields.positive("rope.freq_base") ?? 10000,
    dims,
    interleaved: options.interleaved,
    ...(scaling === undefined ? {} : { scaling })
  }
}

const scalingOf = (fields: Description["fields"]): RotaryScaling | undefined => {
  const oldLinear = fields.positive("rope.scale_linear")
  const kind = fields.string("rope.scaling.type") ?? (oldLinear === undefined ? "none" : "linear")
  const factor = () => fields.positive("rope.scaling.factor") ?? oldLinear ?? 1
  switch (kind) {
    case "none":
      return undefined
    case "linear":
      return { kind, factor: factor() }
    case "yarn": {
      const key = "rope.scaling.original_context_length"
      const stretched = factor()
      return {
        kind,
        factor: stretched,
        originalContext: fields.need(key, fields.size(key, limits.contextLength)),
        betaFast: fields.positive("rope.scaling.yarn_beta_fast") ?? 32,
        betaSlow: fields.positive("rope.scaling.yarn_beta_slow") ?? 1,
        attentionFactor:
          (fields.positive("rope.scaling.attn_factor") ?? 1) * (stretched <= 1 ? 1 : 0.1 * Math.log(stretched) + 1),
        truncate: true
      }
    }
    default:
      throw new Unsupported({ feature: `Rotary scaling "${kind}"`, detail: "known are none, linear and yarn" })
  }
}
