/**
 * GPT-NeoX and Pythia: layer norms, parallel branches with a norm each, a rotary embedding of a part of each head.
 * @see {@link https://arxiv.org/abs/2204.06745} section 2
 * @module
 */
import type { Family } from "../Family.ts"
import { fusedQkvByHead } from "./fused.ts"
import { describeGguf, ggufFused } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored } from "./huggingFace.ts"

/** q, k and v are fused head by head. */
export const gptNeox: Family = {
  name: "gpt_neox",
  huggingFace: {
    types: ["gpt_neox"],
    describe: (description) => {
      const { fields } = description
      const bias = fields.boolean("attention_bias") ?? true
      const base = describeHuggingFace(description, {
        family: "gpt_neox",
        keys: { epsilon: "layer_norm_eps" },
        norm: { kind: "layer" },
        epsilon: 1e-5,
        activation: "gelu",
        bias: { qkv: bias, output: bias },
        plain: { bias: true },
        rotary: { keys: { base: "rotary_emb_base", part: "rotary_pct" }, part: 0.25 }
      })
      const parallel = fields.boolean("use_parallel_residual") ?? true
      return parallel ? { ...base, parallelResidual: "own-norms" as const } : base
    },
    tensors: {
      embedding: "gpt_neox.embed_in",
      norm: "gpt_neox.final_layer_norm",
      head: "embed_out",
      "attn.norm": "gpt_neox.layers.{}.input_layernorm",
      ...fusedQkvByHead("gpt_neox.layers.{}.attention.query_key_value"),
      "attn.output": "gpt_neox.layers.{}.attention.dense",
      "mlp.norm": "gpt_neox.layers.{}.post_attention_layernorm",
      "mlp.up": "gpt_neox.layers.{}.mlp.dense_h_to_4h",
      "mlp.down": "gpt_neox.layers.{}.mlp.dense_4h_to_h"
    },
    ignored: [...huggingFaceIgnored, /\.attention\.(bias|masked_bias)$/]
  },
  gguf: {
    types: ["gptneox"],
    describe: (description) => {
      const base = describeGguf(description, {
        family: "gpt_neox",
        rotary: "halves",
        norm: { kind: "layer" },
        activation: "gelu",
        feedForward: "plain",
        fused: true
      })
      const parallel = description.fields.boolean("use_parallel_residual") ?? true
      return parallel ? { ...base, parallelResidual: "own-norms" as const } : base
    },
    tensors: ggufFused
  }
}
