/**
 * What the `config.json` files of transformers have in common: one field, one meaning, in the old and the new spelling.
 * @module
 */
import {
  type Activation,
  type Architecture,
  type Attention,
  type Layer,
  limits,
  type Norm,
  type Rotary
} from "../Architecture.ts"
import type { Description, TensorNames } from "../Family.ts"
import type { Fields } from "../Fields.ts"
import { Unsupported } from "../ModelError.ts"
import { huggingFaceRotary, longRopeContext, type RotaryOptions } from "./huggingFaceRotary.ts"

/** Names of the fields that families spell in their own way. */
export interface HuggingFaceKeys {
  readonly blocks: string
  readonly hiddenSize: string
  readonly heads: string
  readonly kvHeads: string
  readonly contextLength: string
  readonly feedForwardSize: string
  readonly activation: string
  readonly epsilon: string
}

const usualKeys: HuggingFaceKeys = {
  blocks: "num_hidden_layers",
  hiddenSize: "hidden_size",
  heads: "num_attention_heads",
  kvHeads: "num_key_value_heads",
  contextLength: "max_position_embeddings",
  feedForwardSize: "intermediate_size",
  activation: "hidden_act",
  epsilon: "rms_norm_eps"
}

/** Names of the fields of GPT-2 and of those that follow it. */
export const gptKeys: Partial<HuggingFaceKeys> = {
  blocks: "n_layer",
  hiddenSize: "n_embd",
  heads: "n_head",
  contextLength: "n_positions",
  feedForwardSize: "n_inner",
  activation: "activation_function",
  epsilon: "layer_norm_epsilon"
}

/** How a family differs from llama. */
export interface HuggingFaceOptions {
  readonly family: string
  readonly keys?: Partial<HuggingFaceKeys>
  readonly norm?: Omit<Norm, "epsilon">
  /** Where the configuration does not say: the epsilon of norms. @default 1e-6 */
  readonly epsilon?: number
  /** Where the configuration does not say. @default silu */
  readonly activation?: Activation
  /** Heads of keys and values, where the configuration says it in another way. */
  readonly kvHeads?: (heads: number) => number
  /** Biases of attention. @default what `attention_bias` says */
  readonly bias?: { readonly qkv: boolean; readonly output: boolean }
  /** A feed-forward layer without a gate, with or without biases. @default gated, with what `mlp_bias` says */
  readonly plain?: { readonly bias: boolean }
  /** Width of the feed-forward where the configuration does not say, in hidden sizes. */
  readonly feedForwardFactor?: number
  readonly qkNorm?: Attention["qkNorm"]
  /** How the rotary embedding is spelt, or that there is none. */
  readonly rotary?: RotaryOptions | "none"
  /** Window of each block. @default none */
  readonly windows?: (blocks: number) => ReadonlyArray<number | undefined>
  /** Whether embedding and output matrix are one, where the configuration does not say. @default false */
  readonly tied?: boolean
  /** The greatest position where the configuration does not say. @default 2048 */
  readonly contextLength?: number
}

/** Names of the llama family and of those that follow it. */
export const huggingFaceNames = {
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
} satisfies TensorNames

/** Buffers that older versions of transformers stored beside the weights. */
export const huggingFaceIgnored: ReadonlyArray<RegExp> = [/\.rotary_emb\.inv_freq$/]

/** The descriptor of a decoder: that of llama, but for the options. */
export const describeHuggingFace = ({ fields }: Description, options: HuggingFaceOptions): Architecture => {
  const keys = { ...usualKeys, ...options.keys }
  const blocks = fields.need(keys.blocks, fields.size(keys.blocks, limits.blocks))
  const hiddenSize = fields.need(keys.hiddenSize, fields.size(keys.hiddenSize, limits.hiddenSize))
  const heads = fields.need(keys.heads, fields.size(keys.heads, limits.heads))
  const kvHeads = options.kvHeads?.(heads) ?? fields.size(keys.kvHeads, limits.heads) ?? heads
  const headDim = fields.size("head_dim", limits.headDim) ?? hiddenSize / heads
  if (!Number.isInteger(headDim)) throw fields.fail(keys.heads, `is ${heads}, no divisor of ${hiddenSize}`)
  if (heads % kvHeads !== 0) throw fields.fail(keys.kvHeads, `is ${kvHeads}, no divisor of ${heads}`)
  const contextLength = fields.size(keys.contextLength, limits.contextLength) ?? options.contextLength ?? 2048
  const bias = fields.boolean("attention_bias") ?? false
  const windows = options.windows?.(blocks)
  const factor = options.feedForwardFactor
  const size =
    fields.size(keys.feedForwardSize, limits.feedForwardSize) ??
    (factor === undefined ? undefined : factor * hiddenSize)
  const rotary =
    options.rotary === "none" ? undefined : huggingFaceRotary(fields, headDim, contextLength, options.rotary)
  return {
    family: options.family,
    blocks,
    hiddenSize,
    vocabSize: fields.need("vocab_size", fields.size("vocab_size", limits.vocabSize)),
    contextLength: longRopeContext(fields) ?? contextLength,
    norm: { kind: "rms", ...options.norm, epsilon: fields.positive(keys.epsilon) ?? options.epsilon ?? 1e-6 },
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      bias: options.bias ?? { qkv: bias, output: bias },
      ...(options.qkNorm === undefined ? {} : { qkNorm: options.qkNorm })
    },
    feedForward: {
      kind: options.plain === undefined ? "gated" : "plain",
      activation: activationOf(fields, keys.activation) ?? options.activation ?? "silu",
      size: fields.need(keys.feedForwardSize, size),
      bias: options.plain?.bias ?? fields.boolean("mlp_bias") ?? false
    },
    layers: Array.from({ length: blocks }, (_, block) => layer(rotary, windows?.[block])),
    rotaries: rotary === undefined ? [] : [rotary],
    tiedEmbeddings: fields.boolean("tie_word_embeddings") ?? options.tied ?? false
  }
}

const layer = (rotary: Rotary | undefined, window: number | undefined): Layer => ({
  ...(rotary === undefined ? {} : { rotary: 0 }),
  ...(window === undefined ? {} : { window })
})

const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu", "gelu"],
  ["gelu_python", "gelu"],
  ["gelu_new", "gelu-tanh"],
  ["gelu_fast", "gelu-tanh"],
  ["gelu_pytorch_tanh", "gelu-tanh"],
  ["relu", "relu"]
])

/** The activation that a field names. Throws `Unsupported` for one that is not known. */
export const activationOf = (fields: Fields, key: string): Activation | undefined => {
  const name = fields.string(key)
  if (name === undefined) return undefined
  const found = ACTIVATIONS.get(name)
  if (found !== undefined) return found
  const known = [...ACTIVATIONS.keys()].join(", ")
  throw new Unsupported({ feature: `Activation "${name}" of field "${key}"`, detail: `known are ${known}` })
}

/** Whether each block has a window, as `layer_types` says, or else `otherwise`. */
export const slidingBlocks = (
  fields: Fields,
  blocks: number,
  otherwise: (block: number) => boolean
): ReadonlyArray<boolean> => {
  const types = fields.strings("layer_types")
  if (types === undefined) return Array.from({ length: blocks }, (_, block) => otherwise(block))
  if (types.length !== blocks) throw fields.fail("layer_types", `has ${types.length} items for ${blocks} blocks`)
  return types.map((type) => {
    if (type !== "sliding_attention" && type !== "full_attention") {
      throw new Unsupported({
        feature: `Attention "${type}" of field "layer_types"`,
        detail: "known are full_attention and sliding_attention"
      })
    }
    return type === "sliding_attention"
  })
}
