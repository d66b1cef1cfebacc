/**
 * The identity of a model's weights.
 * @module
 */
import { createHash } from "node:crypto"
import type { Architecture } from "./Architecture.ts"
import type { Checkpoint } from "./Checkpoint.ts"

/** Bytes read at the start, in the middle and at the end of each tensor. */
const SAMPLE = 256

/**
 * SHA-256, in hex, of the architecture, of names, types and shapes of all tensors, and of a sample of the bytes of each (and
 * of how their codes are read):
 * equal for the same weights in one file or in shards, and different for any other training of the same architecture.
 * It tells models apart; it does not prove that no byte is damaged. O(tensors), three small reads of each.
 */
export const digestOf = (architecture: Architecture, checkpoint: Checkpoint): string => {
  const hash = createHash("sha256").update(JSON.stringify(architecture))
  if (checkpoint.stored !== undefined) hash.update(checkpoint.stored.encoding)
  const { tensors } = checkpoint.stored ?? checkpoint
  for (const name of [...tensors.keys()].sort()) {
    const tensor = tensors.get(name)
    if (tensor === undefined) continue
    const { type, shape, bytes } = tensor
    hash.update(JSON.stringify([name, type, shape]))
    const length = Math.min(SAMPLE, bytes)
    for (const offset of new Set([0, Math.floor((bytes - length) / 2), bytes - length])) {
      hash.update(checkpoint.read(name, offset, length))
    }
  }
  return hash.digest("hex")
}
