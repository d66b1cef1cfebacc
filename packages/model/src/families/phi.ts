/**
 * Phi-1 and Phi-2: layer norms, parallel branches with one norm, a rotary embedding of a part of each head, biases.
 * @module
 */
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** The output matrix has a bias too. */
export const phi: Family = {
  name: "phi",
  huggingFace: {
    types: ["phi"],
    describe: (description) => {
      description.fields.only("qk_layernorm", false)
      const base = describeHuggingFace(description, {
        family: "phi",
        keys: { epsilon: "layer_norm_eps" },
        norm: { kind: "layer" },
        epsilon: 1e-5,
        activation: "gelu-tanh",
        bias: { qkv: true, output: true },
        plain: { bias: true },
        rotary: { part: 0.5 }
      })
      return { ...base, parallelResidual: "shared-norm", headBias: true }
    },
    tensors: {
      ...huggingFaceNames,
      norm: "model.final_layernorm",
      "attn.output": "model.layers.{}.self_attn.dense",
      "mlp.up": "model.layers.{}.mlp.fc1",
      "mlp.down": "model.layers.{}.mlp.fc2"
    },
    ignored: huggingFaceIgnored
  }
}
