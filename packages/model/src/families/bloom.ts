/**
 * BLOOM: layer norms, also of the embedding, and linear position biases.
 * @see {@link https://arxiv.org/abs/2211.05100} section 3.2
 * @module
 */
import type { Family } from "../Family.ts"
import { alibiSlopes } from "./alibi.ts"
import { fusedQkvByHead } from "./fused.ts"
import { describeGguf, ggufFused } from "./gguf.ts"
import { describeHuggingFace } from "./huggingFace.ts"

/** q, k and v are fused head by head. */
export const bloom: Family = {
  name: "bloom",
  huggingFace: {
    types: ["bloom"],
    describe: (description) => {
      const { fields } = description
      fields.only("apply_residual_connection_post_layernorm", false)
      const base = describeHuggingFace(description, {
        family: "bloom",
        keys: {
          blocks: fields.has("n_layer") ? "n_layer" : "num_hidden_layers",
          hiddenSize: fields.has("n_embed") ? "n_embed" : "hidden_size",
          heads: fields.has("n_head") ? "n_head" : "num_attention_heads",
          contextLength: "seq_length",
          epsilon: "layer_norm_epsilon"
        },
        norm: { kind: "layer" },
        epsilon: 1e-5,
        activation: "gelu-tanh",
        bias: { qkv: true, output: true },
        plain: { bias: true },
        feedForwardFactor: 4,
        rotary: "none",
        tied: true
      })
      return {
        ...base,
        attention: { ...base.attention, alibi: alibiSlopes(base.attention.heads) },
        embeddingNorm: true
      }
    },
    tensors: {
      embedding: "transformer.word_embeddings",
      "embedding.norm": "transformer.word_embeddings_layernorm",
      norm: "transformer.ln_f",
      head: "lm_head",
      "attn.norm": "transformer.h.{}.input_layernorm",
      ...fusedQkvByHead("transformer.h.{}.self_attention.query_key_value"),
      "attn.output": "transformer.h.{}.self_attention.dense",
      "mlp.norm": "transformer.h.{}.post_attention_layernorm",
      "mlp.up": "transformer.h.{}.mlp.dense_h_to_4h",
      "mlp.down": "transformer.h.{}.mlp.dense_4h_to_h"
    },
    optionalPrefix: "transformer."
  },
  gguf: {
    types: ["bloom"],
    describe: (description) => {
      const base = describeGguf(description, {
        family: "bloom",
        rotary: "none",
        norm: { kind: "layer" },
        activation: "gelu-tanh",
        feedForward: "plain",
        fused: true
      })
      const alibi = alibiSlopes(base.attention.heads)
      return { ...base, attention: { ...base.attention, alibi }, embeddingNorm: true }
    },
    tensors: { ...ggufFused, "embedding.norm": "token_embd_norm" }
  }
}
