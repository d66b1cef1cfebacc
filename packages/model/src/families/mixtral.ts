/**
 * Mixtral: Mistral with eight experts, of which each token takes two.
 * @see {@link https://arxiv.org/abs/2401.04088} section 2
 * @module
 */
import { limits } from "../Architecture.ts"
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** The softmax over the chosen scores is the one over all, divided by the sum of the chosen. */
export const mixtral: Family = {
  name: "mixtral",
  huggingFace: {
    types: ["mixtral"],
    describe: (description) => {
      const { fields } = description
      const window = fields.size("sliding_window", limits.contextLength)
      const base = describeHuggingFace(description, {
        family: "mixtral",
        epsilon: 1e-5,
        bias: { qkv: false, output: false },
        windows: (blocks) => new Array(blocks).fill(window)
      })
      const count = fields.need("num_local_experts", fields.size("num_local_experts", limits.experts))
      const perToken = fields.size("num_experts_per_tok", count) ?? 2
      const experts = { count, perToken, size: base.feedForward.size, normalized: true }
      return { ...base, feedForward: { ...base.feedForward, experts } }
    },
    tensors: {
      ...huggingFaceNames,
      router: "model.layers.{}.block_sparse_moe.gate",
      "expert.gate": "model.layers.{}.block_sparse_moe.experts.{expert}.w1",
      "expert.up": "model.layers.{}.block_sparse_moe.experts.{expert}.w3",
      "expert.down": "model.layers.{}.block_sparse_moe.experts.{expert}.w2"
    },
    ignored: huggingFaceIgnored
  }
}
