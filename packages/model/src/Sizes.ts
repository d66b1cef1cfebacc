/**
 * What a model takes, from its architecture alone: nothing is read.
 * @module
 */
import { linearBytes } from "@swarm/quant"
import type { Architecture } from "./Architecture.ts"
import type { WeightFormat } from "./Plan.ts"
import { blockMatrices, blockParameters, outsideParameters } from "./roles.ts"

/** Numbers of parameters. */
export interface Parameters {
  /** Of one block: the largest, where some are dense and others have experts. */
  readonly block: number
  /** Of the embedding, the final norm and the output matrix; tied matrices count once. */
  readonly outside: number
  readonly total: number
}

/** The parameters of a model. */
export const parameters = (architecture: Architecture): Parameters => {
  const blocks = Array.from({ length: architecture.blocks }, (_, index) => blockParameters(architecture, index))
  const outside = outsideParameters(architecture)
  return { block: Math.max(...blocks), outside, total: blocks.reduce((sum, count) => sum + count, outside) }
}

/** A format that does not depend on the checkpoint. The bytes of `as-is` are those of the plan's initializers. */
export type SizedFormat = Exclude<WeightFormat, "as-is">

/**
 * Bytes of the weights of one block, the largest, as they are handed to the engine, norms and biases included. Kernels may
 * pack them wider (4-bit codes by up to a third), and f16 is held as f32.
 *
 * @param group values that share a scale in q4 and q8
 * @default {group} 32
 */
export const blockBytes = (architecture: Architecture, format: SizedFormat, group = 32): number => {
  const counts = architecture.layers.map((_, index) => blockParameters(architecture, index))
  const largest = counts.indexOf(Math.max(...counts))
  const matrices = blockMatrices(architecture, largest)
  const inMatrices = matrices.reduce((sum, [rows, columns]) => sum + rows * columns, 0)
  const vectors = 4 * ((counts[largest] ?? 0) - inMatrices)
  if (format === "f32" || format === "f16") return vectors + 4 * inMatrices
  const bits = format === "q4" ? 4 : 8
  const layout = { bits, blockSize: group, hasZeroPoints: false, hasOffsets: false } as const
  return matrices.reduce((sum, [rows, columns]) => sum + linearBytes(layout, rows, columns).total, vectors)
}

/** Bytes of KV cache of one token in one block; an encoder has none. */
export const kvBytesPerToken = ({ encoder, attention: { kvHeads, headDim } }: Architecture): number =>
  encoder ? 0 : 2 * 4 * kvHeads * headDim

/** What a server is planned with. */
export interface Room {
  /** Bytes of the machine that the server may take. */
  readonly memory: number
  /** Bytes that it takes besides weights and caches. @default `serverBytes` */
  readonly reserved?: number
  /** Bytes of the weights of a block. */
  readonly weights: number
  /** Bytes of the KV caches of a block, of all sessions. */
  readonly cache: number
  /** Blocks of the model. */
  readonly blocks: number
}

/** Bytes that a server takes besides weights and caches: the runtime, its code, activations. */
export const serverBytes = 150e6

/** How many blocks a server can hold: weights and caches of each, after what it takes anyway. */
export const blocksThatFit = ({ memory, reserved = serverBytes, weights, cache, blocks }: Room): number =>
  Math.max(0, Math.min(blocks, Math.floor((memory - reserved) / (weights + cache))))
