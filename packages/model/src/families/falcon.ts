/**
 * Falcon: layer norms; the 7B and 40B models have parallel branches and share keys, the RW ones linear position biases.
 * @see {@link https://arxiv.org/abs/2311.16867} section 4
 * @module
 */
import type { Architecture } from "../Architecture.ts"
import type { Description, Family } from "../Family.ts"
import { alibiSlopes } from "./alibi.ts"
import { fusedQkvByHead } from "./fused.ts"
import { describeGguf, ggufFused } from "./gguf.ts"
import { describeHuggingFace } from "./huggingFace.ts"

/**
 * How often the biases are added, before the scores are scaled. The reference outputs of `test/fixtures` have them twice:
 * the eager attention of transformers 5 adds those that its mask holds already. Its fused attention adds them once.
 */
const BIAS_TIMES = 2

/** Which of the three shapes it is. */
const describe = (description: Description): Architecture => {
  const { fields } = description
  const grouped = fields.boolean("new_decoder_architecture") ?? false
  const single = fields.boolean("multi_query") ?? true
  const parallel = grouped || (fields.boolean("parallel_attn") ?? true)
  const alibi = fields.boolean("alibi") ?? false
  const bias = fields.boolean("bias") ?? false
  const base = describeHuggingFace(description, {
    family: "falcon",
    keys: { feedForwardSize: "ffn_hidden_size", activation: "activation", epsilon: "layer_norm_epsilon" },
    norm: { kind: "layer" },
    epsilon: 1e-5,
    activation: "gelu",
    kvHeads: (heads) => (grouped ? (fields.size("num_kv_heads", heads) ?? heads) : single ? 1 : heads),
    bias: { qkv: bias, output: bias },
    plain: { bias },
    feedForwardFactor: 4,
    ...(alibi ? { rotary: "none" } : {}),
    tied: true
  })
  const { heads, scale } = base.attention
  const norms = grouped && (fields.number("num_ln_in_parallel_attn") ?? 2) === 2 ? "own-norms" : "shared-norm"
  return {
    ...base,
    ...(alibi
      ? { attention: { ...base.attention, alibi: alibiSlopes(heads).map((slope) => BIAS_TIMES * slope * scale) } }
      : {}),
    ...(parallel ? { parallelResidual: norms } : {})
  }
}

/** q, k and v are fused by head of keys. */
export const falcon: Family = {
  name: "falcon",
  huggingFace: {
    types: ["falcon"],
    describe,
    tensors: {
      embedding: "transformer.word_embeddings",
      norm: "transformer.ln_f",
      head: "lm_head",
      "attn.norm": ({ parallelResidual }) => ({
        name: `transformer.h.{}.${parallelResidual === "own-norms" ? "ln_attn" : "input_layernorm"}`
      }),
      ...fusedQkvByHead("transformer.h.{}.self_attention.query_key_value"),
      "attn.output": "transformer.h.{}.self_attention.dense",
      "mlp.norm": ({ parallelResidual }) => ({
        name: `transformer.h.{}.${parallelResidual === "own-norms" ? "ln_mlp" : "post_attention_layernorm"}`
      }),
      "mlp.up": "transformer.h.{}.mlp.dense_h_to_4h",
      "mlp.down": "transformer.h.{}.mlp.dense_4h_to_h"
    },
    optionalPrefix: "transformer."
  },
  gguf: {
    types: ["falcon"],
    describe: (description) => ({
      ...describeGguf(description, {
        family: "falcon",
        rotary: "halves",
        norm: { kind: "layer" },
        activation: "gelu",
        feedForward: "plain",
        fused: true
      }),
      parallelResidual: description.has("blk.0.attn_norm_2.weight") ? "own-norms" : "shared-norm"
    }),
    tensors: {
      ...ggufFused,
      "attn.norm": ({ parallelResidual }) => ({
        name: `blk.{}.${parallelResidual === "own-norms" ? "attn_norm_2" : "attn_norm"}`
      }),
      "mlp.norm": "blk.{}.attn_norm"
    }
  }
}
