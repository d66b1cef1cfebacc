/**
 * The `config.json` of an architecture.
 * @module
 */
import type { Architecture, RotaryScaling } from "./Architecture.ts"
import { Unsupported } from "./ModelError.ts"

const CLASSES: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM"
}

/**
 * The fields by which transformers (and this package) make the same architecture: for models that come without a
 * `config.json`, such as GGUF files. Families that follow Llama. Throws `Unsupported` for others, and for rotary
 * frequencies that the file gives one by one.
 */
export const huggingFaceConfig = (a: Architecture): Readonly<Record<string, unknown>> => {
  const name = CLASSES[a.family]
  if (name === undefined) {
    throw new Unsupported({
      feature: `A config.json of family "${a.family}"`,
      detail: `known are ${Object.keys(CLASSES).join(", ")}`
    })
  }
  const [rotary] = a.rotaries
  const window = a.layers[0]?.window
  return {
    architectures: [name],
    model_type: a.family,
    hidden_size: a.hiddenSize,
    intermediate_size: a.feedForward.size,
    num_hidden_layers: a.blocks,
    num_attention_heads: a.attention.heads,
    num_key_value_heads: a.attention.kvHeads,
    head_dim: a.attention.headDim,
    vocab_size: a.vocabSize,
    max_position_embeddings: a.contextLength,
    rms_norm_eps: a.norm.epsilon,
    hidden_act: a.feedForward.activation,
    attention_bias: a.attention.bias.output,
    mlp_bias: a.feedForward.bias,
    ...(rotary === undefined ? {} : { rope_theta: rotary.base, ...scalingOf(rotary.scaling) }),
    ...(window === undefined ? {} : { sliding_window: window, use_sliding_window: true }),
    tie_word_embeddings: a.tiedEmbeddings,
    torch_dtype: "float16"
  }
}

const scalingOf = (scaling: RotaryScaling | undefined): Readonly<Record<string, unknown>> => {
  switch (scaling?.kind) {
    case undefined:
      return {}
    case "linear":
      return { rope_scaling: { rope_type: "linear", factor: scaling.factor } }
    case "llama3":
      return {
        rope_scaling: {
          rope_type: "llama3",
          factor: scaling.factor,
          low_freq_factor: scaling.lowFrequencyFactor,
          high_freq_factor: scaling.highFrequencyFactor,
          original_max_position_embeddings: scaling.originalContext
        }
      }
    case "yarn":
      return {
        rope_scaling: {
          rope_type: "yarn",
          factor: scaling.factor,
          original_max_position_embeddings: scaling.originalContext,
          beta_fast: scaling.betaFast,
          beta_slow: scaling.betaSlow,
          attention_factor: scaling.attentionFactor,
          truncate: scaling.truncate
        }
      }
    case "factors":
      throw new Unsupported({
        feature: "A config.json with a factor for each rotary frequency",
        detail: "start from the folder with the model's own config.json"
      })
  }
}
