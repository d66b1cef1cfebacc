/**
 * OLMo 2: llama with norms behind the branches, and of all of q and k.
 * @see {@link https://arxiv.org/abs/2501.00656} section 3
 * @module
 */
import type { Family } from "../Family.ts"
import { describeGguf, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

const norm = { kind: "rms", placement: "after" } as const

/** Its norms of q and k are over all heads at once. */
export const olmo2: Family = {
  name: "olmo2",
  huggingFace: {
    types: ["olmo2"],
    describe: (description) =>
      describeHuggingFace(description, { family: "olmo2", norm, epsilon: 1e-5, qkNorm: "all" }),
    tensors: {
      ...huggingFaceNames,
      "attn.postNorm": "model.layers.{}.post_attention_layernorm",
      "mlp.postNorm": "model.layers.{}.post_feedforward_layernorm"
    },
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["olmo2"],
    describe: (description) => describeGguf(description, { family: "olmo2", rotary: "halves", norm, qkNorm: "all" }),
    tensors: {
      ...ggufNames,
      "attn.postNorm": "blk.{}.post_attention_norm",
      "mlp.postNorm": "blk.{}.post_ffw_norm"
    },
    ignored: ggufIgnored
  }
}
