/**
 * Qwen2 and Qwen3 with experts: many small ones, in Qwen2 beside a layer that every token takes.
 * @see {@link https://arxiv.org/abs/2505.09388} Qwen3, section 2
 * @module
 */
import { type Architecture, limits } from "../Architecture.ts"
import type { Description, Family, TensorNames } from "../Family.ts"
import { describeGguf, ggufExperts, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, type HuggingFaceOptions, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"
import { qwenWindows } from "./qwen2.ts"

const tensors: TensorNames = {
  ...huggingFaceNames,
  router: "model.layers.{}.mlp.gate",
  "expert.gate": "model.layers.{}.mlp.experts.{expert}.gate_proj",
  "expert.up": "model.layers.{}.mlp.experts.{expert}.up_proj",
  "expert.down": "model.layers.{}.mlp.experts.{expert}.down_proj",
  "shared.router": "model.layers.{}.mlp.shared_expert_gate",
  "shared.gate": "model.layers.{}.mlp.shared_expert.gate_proj",
  "shared.up": "model.layers.{}.mlp.shared_expert.up_proj",
  "shared.down": "model.layers.{}.mlp.shared_expert.down_proj"
}

/** A block has experts if its number is not listed as dense, and every `decoder_sparse_step`-th does. */
const describe = (description: Description, options: HuggingFaceOptions): Architecture => {
  const { fields } = description
  const base = describeHuggingFace(description, { ...options, windows: qwenWindows(description) })
  const count = fields.need("num_experts", fields.size("num_experts", limits.experts))
  const size = fields.need("moe_intermediate_size", fields.size("moe_intermediate_size", limits.feedForwardSize))
  const perToken = fields.need("num_experts_per_tok", fields.size("num_experts_per_tok", count))
  const shared = fields.size("shared_expert_intermediate_size", limits.feedForwardSize)
  const experts = {
    ...{ count, perToken, size, normalized: fields.boolean("norm_topk_prob") ?? false },
    ...(shared === undefined ? {} : { shared: { size: shared, gated: true } })
  }
  const listed = new Set(fields.numbers("mlp_only_layers"))
  const step = fields.size("decoder_sparse_step", limits.blocks) ?? 1
  const isDense = (block: number) => listed.has(block) || (block + 1) % step !== 0
  return {
    ...base,
    feedForward: { ...base.feedForward, experts },
    layers: base.layers.map((layer, block) => (isDense(block) ? { ...layer, dense: true } : layer))
  }
}

/** Biases on q, k and v; the shared layer has a gate. */
export const qwen2Moe: Family = {
  name: "qwen2_moe",
  huggingFace: {
    types: ["qwen2_moe"],
    describe: (description) => {
      const qkv = description.fields.boolean("qkv_bias") ?? true
      return describe(description, { family: "qwen2_moe", bias: { qkv, output: false } })
    },
    tensors,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["qwen2moe"],
    describe: (description) =>
      describeGguf(description, {
        family: "qwen2_moe",
        rotary: "halves",
        experts: { normalized: false, shared: true }
      }),
    tensors: { ...ggufNames, ...ggufExperts },
    ignored: ggufIgnored
  }
}

/** q and k are normed over each head; nothing is shared. */
export const qwen3Moe: Family = {
  name: "qwen3_moe",
  huggingFace: {
    types: ["qwen3_moe"],
    describe: (description) => describe(description, { family: "qwen3_moe", qkNorm: "head" }),
    tensors,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["qwen3moe"],
    describe: (description) =>
      describeGguf(description, {
        family: "qwen3_moe",
        rotary: "halves",
        qkNorm: "head",
        experts: { normalized: true, shared: false }
      }),
    tensors: { ...ggufNames, ...ggufExperts },
    ignored: ggufIgnored
  }
}
