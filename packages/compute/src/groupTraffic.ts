/**
 * How the ranks of a group sum, and what that sends.
 * @module
 */
import { allReduce, allReduceSchedule, type Communicator, predictTraffic, type Traffic } from "@swarm/tp-kernels"
import { runBytes } from "./rankCommands.ts"

/** Values up to which one round is worth its greater bytes. */
const SMALL = 16_384

/**
 * The algorithm for a sum of `values` over `ranks`. All of them add in the order of the ranks, in f32, so that a row's
 * bits do not depend on the rows beside it.
 */
const reduceAlgorithm = (ranks: number, values: number): "one-shot" | "direct" =>
  ranks <= 2 || values <= SMALL ? "one-shot" : "direct"

/** Sums x over the ranks of a group, in place. */
export const sumOver =
  (group: Communicator) =>
  (x: Float32Array): Promise<Float32Array> =>
    allReduce(group, x, { algorithm: reduceAlgorithm(group.size, x.length) })

/** Sizes that traffic depends on. */
export interface GroupShape {
  readonly ranks: number
  readonly blocks: number
  readonly hiddenSize: number
}

/**
 * What a rank sends for one run of `rows` rows (without padding) of `sessions` sessions: two sums a block, and from rank
 * 0 the rows to all others. A rank's communicator counts exactly this.
 */
export const predictRun = (
  { ranks, blocks, hiddenSize }: GroupShape,
  rank: number,
  rows: number,
  sessions = 1
): Traffic => {
  const topology = { size: ranks, length: rows * hiddenSize }
  const sum = predictTraffic(allReduceSchedule(reduceAlgorithm(ranks, topology.length), topology, rank))
  const told = rank === 0 ? ranks - 1 : 0
  return {
    bytes: 2 * blocks * sum.bytes + told * runBytes(sessions, rows, hiddenSize),
    messages: 2 * blocks * sum.messages + told,
    steps: 2 * blocks * sum.steps
  }
}
