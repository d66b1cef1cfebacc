/**
 * StarCoder2: llama with layer norms, biases and no gates.
 * @see {@link https://arxiv.org/abs/2402.19173} section 6
 * @module
 */
import { limits } from "../Architecture.ts"
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** Every block has the window. */
export const starcoder2: Family = {
  name: "starcoder2",
  huggingFace: {
    types: ["starcoder2"],
    describe: (description) => {
      const { fields } = description
      const bias = fields.boolean("use_bias") ?? true
      const window = fields.size("sliding_window", limits.contextLength)
      return describeHuggingFace(description, {
        family: "starcoder2",
        keys: { epsilon: "norm_epsilon" },
        norm: { kind: "layer" },
        epsilon: 1e-5,
        activation: "gelu-tanh",
        bias: { qkv: bias, output: bias },
        plain: { bias },
        windows: (blocks) => new Array(blocks).fill(window),
        tied: true
      })
    },
    tensors: {
      ...huggingFaceNames,
      "mlp.up": "model.layers.{}.mlp.c_fc",
      "mlp.down": "model.layers.{}.mlp.c_proj"
    },
    ignored: huggingFaceIgnored
  }
}
