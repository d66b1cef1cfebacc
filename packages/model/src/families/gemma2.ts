/**
 * Gemma 2: norms before and behind each branch, caps on scores and logits, windows in every other block.
 * @see {@link https://arxiv.org/abs/2408.00118} section 2
 * @module
 */
import { type Architecture, limits } from "../Architecture.ts"
import type { Description, Family, TensorNames } from "../Family.ts"
import { describeGguf, type GgufOptions, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames, slidingBlocks } from "./huggingFace.ts"

/** Names of the norms of Gemma 2 and 3. */
export const gemmaNames: TensorNames = {
  ...huggingFaceNames,
  "attn.postNorm": "model.layers.{}.post_attention_layernorm",
  "mlp.norm": "model.layers.{}.pre_feedforward_layernorm",
  "mlp.postNorm": "model.layers.{}.post_feedforward_layernorm"
}

/** What Gemma 2 and 3 share. `otherwise`: which blocks have a window, where the configuration does not say. */
export const describeGemma = (
  description: Description,
  family: string,
  otherwise: (block: number) => boolean,
  options: Pick<Parameters<typeof describeHuggingFace>[1], "qkNorm" | "rotary"> = {}
): Architecture => {
  const { fields } = description
  fields.only("use_bidirectional_attention", false)
  const window = fields.size("sliding_window", limits.contextLength) ?? 4096
  const base = describeHuggingFace(description, {
    family,
    keys: { activation: fields.has("hidden_activation") ? "hidden_activation" : "hidden_act" },
    activation: "gelu-tanh",
    norm: { kind: "rms", unitOffset: true, placement: "around" },
    windows: (blocks) => slidingBlocks(fields, blocks, otherwise).map((sliding) => (sliding ? window : undefined)),
    tied: true,
    contextLength: 8192,
    ...options
  })
  const softCap = fields.positive("attn_logit_softcapping")
  const logitSoftCap = fields.positive("final_logit_softcapping")
  const scale = (fields.positive("query_pre_attn_scalar") ?? 256) ** -0.5
  return {
    ...base,
    attention: { ...base.attention, scale, ...(softCap === undefined ? {} : { softCap }) },
    embeddingScale: Math.sqrt(base.hiddenSize),
    ...(logitSoftCap === undefined ? {} : { logitSoftCap })
  }
}

/** GGUF names of the norms of Gemma 2 and 3. */
export const ggufGemmaNames: TensorNames = {
  ...ggufNames,
  "attn.postNorm": "blk.{}.post_attention_norm",
  "mlp.postNorm": "blk.{}.post_ffw_norm"
}

/** The model of 27B scales scores by its hidden size per head; the metadata do not say so. */
const BLOCKS_OF_27B = { gemma2: 46, gemma3: 62 }

/** What GGUF files say of Gemma 2 and 3; converters have added 1 to the weights of norms. */
export const describeGgufGemma = (
  description: Description,
  options: GgufOptions & { readonly family: "gemma2" | "gemma3" }
): Architecture => {
  const { fields } = description
  const base = describeGguf(description, {
    ...options,
    norm: { kind: "rms", placement: "around" },
    activation: "gelu-tanh"
  })
  const { heads, headDim } = base.attention
  const softCap = fields.positive("attn_logit_softcapping")
  const logitSoftCap = fields.positive("final_logit_softcapping")
  const scale = (base.blocks === BLOCKS_OF_27B[options.family] ? base.hiddenSize / heads : headDim) ** -0.5
  return {
    ...base,
    attention: { ...base.attention, scale, ...(softCap === undefined ? {} : { softCap }) },
    embeddingScale: Math.sqrt(base.hiddenSize),
    ...(logitSoftCap === undefined ? {} : { logitSoftCap })
  }
}

/** Blocks 0, 2, 4 ... have windows. */
export const gemma2: Family = {
  name: "gemma2",
  huggingFace: {
    types: ["gemma2"],
    describe: (description) => describeGemma(description, "gemma2", (block) => block % 2 === 0),
    tensors: gemmaNames,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["gemma2"],
    describe: (description) =>
      describeGgufGemma(description, { family: "gemma2", rotary: "halves", sliding: (block) => block % 2 === 0 }),
    tensors: ggufGemmaNames,
    ignored: ggufIgnored
  }
}
