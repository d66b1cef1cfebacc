/**
 * Latency of two layers under tensor parallelism: a model of weights, arithmetic, dispatch and links.
 * @module
 */
import type { AllReduceAlgorithm } from "./collectives.ts"
import type { Link } from "./memoryChannels.ts"
import { predictTime, predictTraffic } from "./predict.ts"
import { allGatherSchedule, allReduceSchedule, type Schedule } from "./schedule.ts"

/** One rank's processor and its links. */
export interface Machine {
  /** Bytes of weights read per second. */
  readonly bytesPerSecond: number
  /** Multiplications and additions per second. */
  readonly operationsPerSecond: number
  /** Seconds that each operation costs beside its work: a kernel's start. */
  readonly dispatch: number
  /** Seconds that each collective costs beside its messages: its start, and waiting for the latest rank. */
  readonly collective: number
  readonly link: Link
  /** γ: seconds per addition of two values. */
  readonly secondsPerSum: number
}

/** Sizes of two layers. */
export interface PairShape {
  /** K1 */
  readonly inputs: number
  /** N1 = K2 */
  readonly hidden: number
  /** N2 */
  readonly outputs: number
  /** Layers (inputs, hidden): 2 for a gated MLP. @default {1} */
  readonly firstLayers?: number
}

/** What is run, and how. */
export interface CostOptions {
  readonly machine: Machine
  readonly algorithm: "naive" | "aware"
  readonly ranks: number
  /** M: rows of x. */
  readonly rows: number
  /** Bits per weight with its share of scales: 16 for f16, 4.25 for 4 bits in groups of 128 with f32 scales. */
  readonly weightBits: number
  /** Format of activations on the wire. @default {"f16"} */
  readonly codec?: "f32" | "f16" | "bf16" | "int8"
  /** @default {"ring"} */
  readonly reduce?: AllReduceAlgorithm
  /** Ranks per node, for `hierarchical`. */
  readonly nodeSize?: number
  /** Links that differ: replaces the machine's one. */
  readonly link?: (from: number, to: number) => Link
}

/** Where the time goes, in seconds; bytes are those that one rank sends. */
export interface Cost {
  readonly compute: number
  readonly dispatch: number
  readonly gather: number
  readonly reduce: number
  readonly total: number
  readonly bytes: number
  readonly messages: number
}

/**
 * Predicts one pass through both layers.
 *
 * Operations: sort x, two products (more first layers count as one); the naive algorithm sorts and cuts the gathered
 * features too. Arithmetic and reading overlap, so the slower counts; everything else follows one after the other.
 * Throws `RangeError` for ranks that do not divide `hidden`.
 */
export const pairCost = (shape: PairShape, options: CostOptions): Cost => {
  const { machine, algorithm, ranks, rows, weightBits, codec = "f16", reduce = "ring", nodeSize = ranks } = options
  const { inputs, hidden, outputs, firstLayers = 1 } = shape
  if (!Number.isInteger(ranks) || ranks < 1 || hidden % ranks !== 0) {
    throw new RangeError(`Cannot split ${hidden} features among ${ranks} ranks`)
  }
  const weights = (hidden * (firstLayers * inputs + outputs)) / ranks
  const compute = Math.max(
    (weights * weightBits) / 8 / machine.bytesPerSecond,
    (2 * rows * weights) / machine.operationsPerSecond
  )
  const link = options.link ?? (() => machine.link)
  const all = (of: (rank: number) => Schedule) => Array.from({ length: ranks }, (_, rank) => of(rank))
  const exchange = (schedules: ReadonlyArray<Schedule>): number =>
    ranks === 1 ? 0 : machine.collective + predictTime(schedules, link, { codec, secondsPerSum: machine.secondsPerSum })
  const reduces = all((rank) => allReduceSchedule(reduce, { size: ranks, length: rows * outputs, nodeSize }, rank))
  const algorithmOfGather = reduce === "one-shot" ? "direct" : reduce
  const gathers =
    algorithm === "aware"
      ? []
      : all((rank) => allGatherSchedule(algorithmOfGather, { size: ranks, length: rows * hidden, nodeSize }, rank))
  const traffic = [reduces[0] ?? [], gathers[0] ?? []].map((schedule) => predictTraffic(schedule, codec))
  const parts = {
    compute,
    dispatch: machine.dispatch * (algorithm === "aware" ? 3 : 5),
    gather: algorithm === "aware" ? 0 : exchange(gathers),
    reduce: exchange(reduces)
  }
  return {
    ...parts,
    total: parts.compute + parts.dispatch + parts.gather + parts.reduce,
    bytes: traffic.reduce((sum, { bytes }) => sum + bytes, 0),
    messages: traffic.reduce((sum, { messages }) => sum + messages, 0)
  }
}
