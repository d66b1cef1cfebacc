/**
 * What the metadata of decoders in GGUF files has in common.
 * @see {@link https://github.com/ggml-org/ggml/blob/master/docs/gguf.md}
 * @module
 */
import {
  type Activation,
  type Architecture,
  type Attention,
  type Experts,
  type FeedForward,
  limits,
  type Norm,
  type Rotary,
  type RotaryScaling
} from "../Architecture.ts"
import type { Description, TensorNames } from "../Family.ts"
import { Unsupported } from "../ModelError.ts"
import { fusedQkv } from "./fused.ts"

/** How a family differs from llama. */
export interface GgufOptions {
  readonly family: string
  /** Llama's q and k rows are stored in the order of interleaved pairs. "none": no rotary embedding. */
  readonly rotary: "pairs" | "halves" | "none"
  readonly qkNorm?: Attention["qkNorm"]
  /** @default rms */
  readonly norm?: Omit<Norm, "epsilon">
  /** @default silu */
  readonly activation?: Activation
  /** @default gated */
  readonly feedForward?: FeedForward["kind"]
  /** Roles whose names tell whether there are biases, where those of q and of the feed-forward do not. */
  readonly fused?: boolean
  /** Windows of the blocks, of the length that the metadata says. @default all blocks */
  readonly sliding?: (block: number) => boolean
  /** Whether probabilities of experts are divided by their sum, where the family has experts. */
  readonly experts?: { readonly normalized: boolean; readonly shared: boolean }
}

/** Names that converters give to the tensors of every decoder. */
export const ggufNames = {
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
} satisfies TensorNames

/** Names of q, k and v where converters leave them in one tensor: all of q, of k, of v. */
export const ggufFused: TensorNames = { ...ggufNames, ...fusedQkv("blk.{}.attn_qkv") }

const expertRows =
  (name: string, rows: (architecture: Architecture) => number) => (a: Architecture, expert: number) => ({
    name,
    from: expert * rows(a),
    to: (expert + 1) * rows(a)
  })
const inner = ({ feedForward: { experts } }: Architecture) => experts?.size ?? 0

/** Names of experts: each matrix of all of them is one tensor of three axes. */
export const ggufExperts: TensorNames = {
  router: "blk.{}.ffn_gate_inp",
  "expert.gate": expertRows("blk.{}.ffn_gate_exps", inner),
  "expert.up": expertRows("blk.{}.ffn_up_exps", inner),
  "expert.down": expertRows("blk.{}.ffn_down_exps", ({ hiddenSize }) => hiddenSize),
  "shared.router": "blk.{}.ffn_gate_inp_shexp",
  "shared.gate": "blk.{}.ffn_gate_shexp",
  "shared.up": "blk.{}.ffn_up_shexp",
  "shared.down": "blk.{}.ffn_down_shexp"
}

/** Rotary factors: read into the descriptor, not into the graph. */
const FACTORS = "rope_freqs.weight"

/** Those of texts within the original context; longer ones are refused (see `longRopeContext`). */
const SHORT_FACTORS = "rope_factors_short.weight"

/** Tensors that the descriptor has taken in, or that longer texts would need. */
export const ggufIgnored: ReadonlyArray<RegExp> = [/^rope_freqs\.weight$/, /^rope_factors_(short|long)\.weight$/]

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
  const mixture = expertsOf(fields, options)
  const vocabSize = fields.size("vocab_size", limits.vocabSize) ?? shape("token_embd.weight")?.[0]
  const window = fields.size("attention.sliding_window", limits.contextLength)
  const context = has(SHORT_FACTORS) ? "rope.scaling.original_context_length" : "context_length"
  const epsilon = `attention.layer_norm_${options.norm?.kind === "layer" ? "" : "rms_"}epsilon`
  return {
    family: options.family,
    blocks,
    hiddenSize,
    vocabSize: fields.need("vocab_size", vocabSize),
    contextLength: fields.need(context, fields.size(context, limits.contextLength)),
    norm: { kind: "rms", ...options.norm, epsilon: fields.need(epsilon, fields.positive(epsilon)) },
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: fields.positive("attention.scale") ?? 1 / Math.sqrt(headDim),
      bias: {
        qkv: has(options.fused ? "blk.0.attn_qkv.bias" : "blk.0.attn_q.bias"),
        output: has("blk.0.attn_output.bias")
      },
      ...(options.qkNorm === undefined ? {} : { qkNorm: options.qkNorm })
    },
    feedForward: {
      kind: options.feedForward ?? "gated",
      activation: options.activation ?? "silu",
      size: fields.need("feed_forward_length", fields.size("feed_forward_length", limits.feedForwardSize)),
      bias: has("blk.0.ffn_up.bias"),
      ...(mixture === undefined ? {} : { experts: mixture })
    },
    layers: Array.from({ length: blocks }, (_, block) => ({
      ...(options.rotary === "none" ? {} : { rotary: 0 }),
      ...(window === undefined || options.sliding?.(block) === false ? {} : { window })
    })),
    rotaries: options.rotary === "none" ? [] : [rotary(description, options, headDim)],
    tiedEmbeddings: !has("output.weight")
  }
}

const expertsOf = (fields: Description["fields"], { family, experts }: GgufOptions): Experts | undefined => {
  if ((fields.number("expert_count") ?? 0) === 0) return undefined
  if (experts === undefined) {
    throw new Unsupported({ feature: 'Field "expert_count"', detail: `family "${family}" has no experts` })
  }
  const count = fields.need("expert_count", fields.size("expert_count", limits.experts))
  const width = (key: string) =>
    fields.size(key, limits.feedForwardSize) ?? fields.size("feed_forward_length", limits.feedForwardSize)
  const own = "expert_feed_forward_length"
  const shared = "expert_shared_feed_forward_length"
  return {
    count,
    perToken: fields.need("expert_used_count", fields.size("expert_used_count", count)),
    size: fields.need(own, width(own)),
    normalized: experts.normalized,
    ...(experts.shared ? { shared: { size: fields.need(shared, width(shared)), gated: true } } : {})
  }
}

const rotary = ({ fields, values }: Description, options: GgufOptions, headDim: number): Rotary => {
  const dims = fields.size("rope.dimension_count", headDim) ?? headDim
  if (dims % 2 !== 0) throw fields.fail("rope.dimension_count", `is ${dims}, an odd number`)
  const factors = values(FACTORS) ?? values(SHORT_FACTORS)
  if (factors !== undefined && factors.length !== dims / 2) {
    throw fields.fail("rope.dimension_count", `is ${dims}, but "${FACTORS}" has ${factors.length} values`)
  }
  const scaling: RotaryScaling | undefined =
    factors === undefined ? scalingOf(fields) : { kind: "factors", factors, ...attentionFactor(fields) }
  return {
    base: fields.positive("rope.freq_base") ?? 10000,
    dims,
    interleaved: options.rotary === "pairs",
    ...(scaling === undefined ? {} : { scaling })
  }
}

const attentionFactor = (fields: Description["fields"]): { readonly attentionFactor?: number } => {
  const factor = fields.positive("rope.scaling.attn_factor")
  return factor === undefined ? {} : { attentionFactor: factor }
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
