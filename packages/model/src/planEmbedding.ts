/**
 * The embedding, read from the checkpoint row by row.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import { readFloats, slice } from "./Checkpoint.ts"
import { Unsupported } from "./ModelError.ts"
import type { Embedding } from "./Plan.ts"
import type { Weights } from "./Weights.ts"

/** Rows of the embedding matrix, read one by one. */
export const planEmbedding = (architecture: Architecture, weights: Weights): Embedding => {
  if (architecture.learnedPositions !== undefined || architecture.embeddingNorm) {
    throw new Unsupported({ feature: "An embedding with positions or a norm", detail: "rows are looked up and scaled" })
  }
  const { hiddenSize, vocabSize, embeddingScale = 1 } = architecture
  const { checkpoint, tensor } = weights.weight("embedding")
  return {
    lookup: (ids) => {
      for (const id of ids) {
        if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
          throw new RangeError(`Cannot embed token ${id}: the vocabulary has ${vocabSize}`)
        }
      }
      const out = new Float32Array(ids.length * hiddenSize)
      ids.forEach((id, i) => {
        readFloats(slice(checkpoint, tensor, id, id + 1), out.subarray(i * hiddenSize, (i + 1) * hiddenSize))
      })
      if (embeddingScale !== 1) for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) * embeddingScale
      return out
    }
  }
}
