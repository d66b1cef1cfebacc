/**
 * GPT-2: layer norms, learned positions, plain feed-forward layers, matrices stored as (inputs, outputs).
 * @module
 */
import type { Architecture } from "../Architecture.ts"
import type { Description, Family, TensorNames } from "../Family.ts"
import { fusedQkv } from "./fused.ts"
import { describeGguf, ggufFused } from "./gguf.ts"
import { describeHuggingFace, gptKeys, type HuggingFaceOptions } from "./huggingFace.ts"

/** Names of GPT-2 and of those that follow it, but for the matrices of blocks. */
export const gptNames: TensorNames = {
  embedding: "transformer.wte",
  "embedding.positions": "transformer.wpe",
  norm: "transformer.ln_f",
  head: "lm_head",
  "attn.norm": "transformer.h.{}.ln_1",
  "mlp.norm": "transformer.h.{}.ln_2"
}

/** Masks that older versions of transformers stored beside the weights. */
export const gptIgnored: ReadonlyArray<RegExp> = [/\.attn\.(bias|masked_bias)$/]

/** What GPT-2 and those that follow it share. */
export const describeGpt = (description: Description, options: HuggingFaceOptions) => {
  const { fields } = description
  fields.only("scale_attn_weights", true)
  fields.only("scale_attn_by_inverse_layer_idx", false)
  fields.only("add_cross_attention", false)
  const base = describeHuggingFace(description, {
    keys: gptKeys,
    norm: { kind: "layer" },
    epsilon: 1e-5,
    activation: "gelu-tanh",
    bias: { qkv: true, output: true },
    plain: { bias: true },
    feedForwardFactor: 4,
    rotary: "none",
    tied: true,
    contextLength: 1024,
    ...options
  })
  return { ...base, learnedPositions: { rows: base.contextLength } }
}

/** GGUF names of GPT-2 and of those that follow it; converters transpose the matrices. */
export const ggufGptNames: TensorNames = { ...ggufFused, "embedding.positions": "position_embd" }

/** What GGUF files say of GPT-2 and of those that follow it. */
export const describeGgufGpt = (description: Description, family: string): Architecture => {
  const base = describeGguf(description, {
    family,
    rotary: "none",
    norm: { kind: "layer" },
    activation: "gelu-tanh",
    feedForward: "plain",
    fused: true
  })
  return { ...base, learnedPositions: { rows: base.contextLength } }
}

const transposed = (name: string) => ({ name, transposed: true })

/** Its reference implementation calls a matrix a convolution of width 1. */
export const gpt2: Family = {
  name: "gpt2",
  huggingFace: {
    types: ["gpt2"],
    describe: (description) => describeGpt(description, { family: "gpt2" }),
    tensors: {
      ...gptNames,
      ...fusedQkv("transformer.h.{}.attn.c_attn", { transposed: true }),
      "attn.output": transposed("transformer.h.{}.attn.c_proj"),
      "mlp.up": transposed("transformer.h.{}.mlp.c_fc"),
      "mlp.down": transposed("transformer.h.{}.mlp.c_proj")
    },
    optionalPrefix: "transformer.",
    ignored: gptIgnored
  },
  gguf: {
    types: ["gpt2"],
    describe: (description) => describeGgufGpt(description, "gpt2"),
    tensors: ggufGptNames
  }
}
