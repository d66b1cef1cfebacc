/**
 * Command R: parallel branches with one layer norm without a bias, rotary pairs side by side, a factor on the logits.
 * @module
 */
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** Embedding and output matrix are one. */
export const cohere: Family = {
  name: "cohere",
  huggingFace: {
    types: ["cohere"],
    describe: (description) => {
      const { fields } = description
      fields.only("use_qk_norm", false)
      const base = describeHuggingFace(description, {
        family: "cohere",
        keys: { epsilon: "layer_norm_eps" },
        norm: { kind: "layer", bias: false },
        epsilon: 1e-5,
        rotary: { interleaved: true },
        tied: true,
        contextLength: 8192
      })
      return { ...base, parallelResidual: "shared-norm", logitScale: fields.positive("logit_scale") ?? 0.0625 }
    },
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  }
}
