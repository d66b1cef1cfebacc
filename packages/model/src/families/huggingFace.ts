/**
 * What the `config.json` files of decoders have in common: one field, one meaning, in the old and the new spelling.
 * @see {@link https://huggingface.co/docs/transformers/main/en/internal/rope_utils}
 * @module
 */
import {
  type Architecture,
  type Attention,
  type Layer,
  limits,
  type Rotary,
  type RotaryScaling
} from "../Architecture.ts"
import type { Description, TensorNames } from "../Family.ts"
import type { Fields } from "../Fields.ts"
import { Unsupported } from "../ModelError.ts"

/** What a family adds to the common fields. */
export interface HuggingFaceOptions {
  readonly family: string
  readonly bias?: { readonly qkv: boolean; readonly output: boolean }
  readonly qkNorm?: Attention["qkNorm"]
  /** Window of each block. @default none */
  readonly windows?: (blocks: number) => ReadonlyArray<number | undefined>
}

/** Names of the llama family and of those that follow it. */
export const huggingFaceNames: TensorNames = {
  embedding: "model.embed_tokens",
  norm: "model.norm",
  head: "lm_head",
  "attn.norm": "model.layers.{}.input_layernorm",
  "attn.q": "model.layers.{}.self_attn.q_proj",
  "attn.k": "model.layers.{}.self_attn.k_proj",
  "attn.v": "model.layers.{}.self_attn.v_proj",
  "attn.output": "model.layers.{}.self_attn.o_proj",
  "attn.qNorm": "model.layers.{}.self_attn.q_norm",
  "attn.kNorm": "model.layers.{}.self_attn.k_norm",
  "mlp.norm": "model.layers.{}.post_attention_layernorm",
  "mlp.gate": "model.layers.{}.mlp.gate_proj",
  "mlp.up": "model.layers.{}.mlp.up_proj",
  "mlp.down": "model.layers.{}.mlp.down_proj"
}

/** Buffers that older versions of transformers stored beside the weights. */
export const huggingFaceIgnored: ReadonlyArray<RegExp> = [/\.rotary_emb\.inv_freq$/]

/** The descriptor of a pre-norm decoder with rotary attention and a gated feed-forward. */
export const describeHuggingFace = ({ fields }: Description, options: HuggingFaceOptions): Architecture => {
  const blocks = fields.need("num_hidden_layers", fields.size("num_hidden_layers", limits.blocks))
  const hiddenSize = fields.need("hidden_size", fields.size("hidden_size", limits.hiddenSize))
  const heads = fields.need("num_attention_heads", fields.size("num_attention_heads", limits.heads))
  const kvHeads = fields.size("num_key_value_heads", limits.heads) ?? heads
  const headDim = fields.size("head_dim", limits.headDim) ?? hiddenSize / heads
  if (!Number.isInteger(headDim)) throw fields.fail("num_attention_heads", `is ${heads}, no divisor of ${hiddenSize}`)
  if (heads % kvHeads !== 0) throw fields.fail("num_key_value_heads", `is ${kvHeads}, no divisor of ${heads}`)
  const contextLength = fields.size("max_position_embeddings", limits.contextLength) ?? 2048
  const bias = fields.boolean("attention_bias") ?? false
  const windows = options.windows?.(blocks)
  return {
    family: options.family,
    blocks,
    hiddenSize,
    vocabSize: fields.need("vocab_size", fields.size("vocab_size", limits.vocabSize)),
    contextLength,
    norm: { kind: "rms", epsilon: fields.positive("rms_norm_eps") ?? 1e-6 },
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      bias: options.bias ?? { qkv: bias, output: bias },
      ...(options.qkNorm === undefined ? {} : { qkNorm: options.qkNorm })
    },
    feedForward: {
      kind: "gated",
      activation: activation(fields),
      size: fields.need("intermediate_size", fields.size("intermediate_size", limits.feedForwardSize)),
      bias: fields.boolean("mlp_bias") ?? false
    },
    layers: Array.from({ length: blocks }, (_, block) => layer(windows?.[block])),
    rotaries: [huggingFaceRotary(fields, headDim, contextLength)],
    tiedEmbeddings: fields.boolean("tie_word_embeddings") ?? false
  }
}

const layer = (window: number | undefined): Layer => ({ rotary: 0, ...(window === undefined ? {} : { window }) })

const activation = (fields: Fields): "silu" => {
  const name = fields.string("hidden_act") ?? "silu"
  if (name === "silu" || name === "swish") return "silu"
  throw new Unsupported({ feature: `Activation "${name}"`, detail: "feed-forward layers of this family use silu" })
}

/** `rope_parameters`, or `rope_theta` with `rope_scaling`. */
const huggingFaceRotary = (fields: Fields, headDim: number, contextLength: number): Rotary => {
  const rope = fields.record("rope_parameters") ?? fields.record("rope_scaling")
  if (rope?.record("full_attention") !== undefined) {
    throw new Unsupported({ feature: "A rotary embedding per kind of block", detail: "this family has one for all" })
  }
  const base = rope?.positive("rope_theta") ?? fields.positive("rope_theta") ?? 10000
  const part = rope?.positive("partial_rotary_factor") ?? fields.positive("partial_rotary_factor") ?? 1
  const dims = Math.trunc(headDim * part)
  if (part > 1 || dims < 2 || dims % 2 !== 0) {
    throw fields.fail("partial_rotary_factor", `is ${part}, which turns ${dims} of ${headDim} dimensions`)
  }
  const scaling = rope && scalingOf(rope, fields, contextLength)
  return { base, dims, interleaved: false, ...(scaling === undefined ? {} : { scaling }) }
}

const scalingOf = (rope: Fields, fields: Fields, contextLength: number): RotaryScaling | undefined => {
  const kind = rope.string("rope_type") ?? rope.string("type") ?? "default"
  const factor = () => rope.need("factor", rope.positive("factor"))
  const original =
    rope.size("original_max_position_embeddings", limits.contextLength) ??
    fields.size("original_max_position_embeddings", limits.contextLength)
  switch (kind) {
    case "default":
    case "dynamic": // changes the base only beyond the context length, where no position of ours lies
      return undefined
    case "linear":
      return { kind, factor: factor() }
    case "llama3":
      return {
        kind,
        factor: factor(),
        lowFrequencyFactor: rope.need("low_freq_factor", rope.positive("low_freq_factor")),
        highFrequencyFactor: rope.need("high_freq_factor", rope.positive("high_freq_factor")),
        originalContext: rope.need("original_max_position_embeddings", original)
      }
    case "yarn":
      return yarn(
        rope,
        rope.positive("factor") ?? contextLength / (original ?? contextLength),
        original ?? contextLength
      )
    default:
      throw new Unsupported({
        feature: `Rotary scaling "${kind}"`,
        detail: "known are linear, dynamic, llama3 and yarn"
      })
  }
}

const yarn = (rope: Fields, factor: number, originalContext: number): RotaryScaling => {
  const magnitude = (weight = 1) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1)
  const mscale = rope.number("mscale")
  const mscaleAll = rope.number("mscale_all_dim")
  const both = mscale !== undefined && mscale !== 0 && mscaleAll !== undefined && mscaleAll !== 0
  return {
    kind: "yarn",
    factor,
    originalContext,
    betaFast: rope.positive("beta_fast") ?? 32,
    betaSlow: rope.positive("beta_slow") ?? 1,
    attentionFactor:
      rope.positive("attention_factor") ?? (both ? magnitude(mscale) / magnitude(mscaleAll) : magnitude()),
    truncate: rope.boolean("truncate") ?? true
  }
}
