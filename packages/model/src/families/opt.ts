/**
 * OPT: layer norms, positions learned with an offset of two, plain feed-forward layers.
 * @see {@link https://arxiv.org/abs/2205.01068} section 2
 * @module
 */
import type { Family } from "../Family.ts"
import { describeHuggingFace } from "./huggingFace.ts"

const OFFSET = 2

/** The model of 350M, which norms behind the branches and embeds in another width, has no form. */
export const opt: Family = {
  name: "opt",
  huggingFace: {
    types: ["opt"],
    describe: (description) => {
      const { fields } = description
      fields.only("do_layer_norm_before", true)
      fields.only("_remove_final_layer_norm", false)
      fields.only("layer_norm_elementwise_affine", true)
      const bias = fields.boolean("enable_bias") ?? true
      const base = describeHuggingFace(description, {
        family: "opt",
        keys: { feedForwardSize: "ffn_dim", activation: "activation_function", epsilon: "layer_norm_eps" },
        norm: { kind: "layer" },
        epsilon: 1e-5,
        activation: "relu",
        bias: { qkv: bias, output: bias },
        plain: { bias },
        rotary: "none",
        tied: true
      })
      fields.only("word_embed_proj_dim", base.hiddenSize)
      return { ...base, learnedPositions: { rows: base.contextLength + OFFSET, offset: OFFSET } }
    },
    tensors: {
      embedding: "model.decoder.embed_tokens",
      "embedding.positions": "model.decoder.embed_positions",
      norm: "model.decoder.final_layer_norm",
      head: "lm_head",
      "attn.norm": "model.decoder.layers.{}.self_attn_layer_norm",
      "attn.q": "model.decoder.layers.{}.self_attn.q_proj",
      "attn.k": "model.decoder.layers.{}.self_attn.k_proj",
      "attn.v": "model.decoder.layers.{}.self_attn.v_proj",
      "attn.output": "model.decoder.layers.{}.self_attn.out_proj",
      "mlp.norm": "model.decoder.layers.{}.final_layer_norm",
      "mlp.up": "model.decoder.layers.{}.fc1",
      "mlp.down": "model.decoder.layers.{}.fc2"
    },
    optionalPrefix: "model."
  }
}
