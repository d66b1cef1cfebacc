/**
 * GPT-J: layer norms, parallel branches with one norm, rotary pairs side by side in the first dimensions of each head.
 * @module
 */
import type { Family } from "../Family.ts"
import { gptIgnored } from "./gpt2.ts"
import { describeHuggingFace, gptKeys } from "./huggingFace.ts"

/** Attention has no biases; the feed-forward and the output matrix have. */
export const gptj: Family = {
  name: "gptj",
  huggingFace: {
    types: ["gptj"],
    describe: (description) => {
      const { fields } = description
      const base = describeHuggingFace(description, {
        family: "gptj",
        keys: gptKeys,
        norm: { kind: "layer" },
        epsilon: 1e-5,
        activation: "gelu-tanh",
        bias: { qkv: false, output: false },
        plain: { bias: true },
        feedForwardFactor: 4,
        rotary: "none"
      })
      const dims = fields.size("rotary_dim", base.attention.headDim) ?? base.attention.headDim
      if (dims % 2 !== 0) throw fields.fail("rotary_dim", `is ${dims}, an odd number`)
      return {
        ...base,
        rotaries: [{ base: 10000, dims, interleaved: true }],
        layers: base.layers.map((layer) => ({ ...layer, rotary: 0 })),
        parallelResidual: "shared-norm",
        headBias: true
      }
    },
    tensors: {
      embedding: "transformer.wte",
      norm: "transformer.ln_f",
      head: "lm_head",
      "attn.norm": "transformer.h.{}.ln_1",
      "attn.q": "transformer.h.{}.attn.q_proj",
      "attn.k": "transformer.h.{}.attn.k_proj",
      "attn.v": "transformer.h.{}.attn.v_proj",
      "attn.output": "transformer.h.{}.attn.out_proj",
      "mlp.up": "transformer.h.{}.mlp.fc_in",
      "mlp.down": "transformer.h.{}.mlp.fc_out"
    },
    ignored: gptIgnored
  }
}
