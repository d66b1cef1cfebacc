/**
 * StableLM: llama with layer norms and a rotary embedding of a part of each head.
 * @module
 */
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** Some have parallel branches with one norm. */
export const stablelm: Family = {
  name: "stablelm",
  huggingFace: {
    types: ["stablelm"],
    describe: (description) => {
      const { fields } = description
      fields.only("qk_layernorm", false)
      const base = describeHuggingFace(description, {
        family: "stablelm",
        keys: { epsilon: "layer_norm_eps" },
        norm: { kind: "layer" },
        epsilon: 1e-5,
        bias: { qkv: fields.boolean("use_qkv_bias") ?? false, output: false },
        rotary: { part: 0.25 }
      })
      return fields.boolean("use_parallel_residual") ? { ...base, parallelResidual: "shared-norm" } : base
    },
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  }
}
