/**
 * BERT, as a model of masked words: an encoder whose norms follow the additions.
 * @see {@link https://arxiv.org/abs/1810.04805} section 3
 * @module
 */
import { limits } from "../Architecture.ts"
import type { Family } from "../Family.ts"
import { activationOf, describeHuggingFace } from "./huggingFace.ts"

/** Text is of the first kind of token. What pools, or predicts the next sentence, is no part of the graph. */
export const bert: Family = {
  name: "bert",
  huggingFace: {
    types: ["bert"],
    describe: (description) => {
      const { fields } = description
      fields.only("is_decoder", false)
      fields.only("add_cross_attention", false)
      fields.only("position_embedding_type", "absolute")
      const base = describeHuggingFace(description, {
        family: "bert",
        keys: { epsilon: "layer_norm_eps" },
        norm: { kind: "layer", placement: "sum" },
        epsilon: 1e-12,
        activation: "gelu",
        bias: { qkv: true, output: true },
        plain: { bias: true },
        rotary: "none",
        tied: true,
        contextLength: 512
      })
      return {
        ...base,
        learnedPositions: { rows: base.contextLength },
        tokenTypes: fields.size("type_vocab_size", limits.vocabSize) ?? 2,
        embeddingNorm: true,
        headBias: true,
        headTransform: activationOf(fields, "hidden_act") ?? "gelu",
        encoder: true
      }
    },
    tensors: {
      embedding: "bert.embeddings.word_embeddings",
      "embedding.positions": "bert.embeddings.position_embeddings",
      "embedding.tokenTypes": "bert.embeddings.token_type_embeddings",
      "embedding.norm": "bert.embeddings.LayerNorm",
      "head.transform": "cls.predictions.transform.dense",
      norm: "cls.predictions.transform.LayerNorm",
      head: "cls.predictions",
      "attn.q": "bert.encoder.layer.{}.attention.self.query",
      "attn.k": "bert.encoder.layer.{}.attention.self.key",
      "attn.v": "bert.encoder.layer.{}.attention.self.value",
      "attn.output": "bert.encoder.layer.{}.attention.output.dense",
      "attn.postNorm": "bert.encoder.layer.{}.attention.output.LayerNorm",
      "mlp.up": "bert.encoder.layer.{}.intermediate.dense",
      "mlp.down": "bert.encoder.layer.{}.output.dense",
      "mlp.postNorm": "bert.encoder.layer.{}.output.LayerNorm"
    },
    ignored: [/\.position_ids$/, /^bert\.pooler\./, /^cls\.seq_relationship\./, /^cls\.predictions\.decoder\./]
  }
}
