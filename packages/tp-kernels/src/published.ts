/**
 * The published experiment: shapes, figures, and machines like those that it ran on.
 * @module
 */
import type { Machine, PairShape } from "./cost.ts"

/** The two MLPs, one first layer each, as the paper times them. */
export const publishedShapes = {
  "Llama-70B": { inputs: 8192, hidden: 28672, outputs: 8192 },
  "Granite-20B": { inputs: 6144, hidden: 24576, outputs: 6144 }
} as const satisfies Record<string, PairShape>

/** A published average over M = 1, 2, 4, 8, 16, f16 weights. */
export interface Published {
  readonly gpu: "A100" | "H100"
  readonly model: keyof typeof publishedShapes
  readonly ranks: number
  /** Milliseconds, where the table is known. */
  readonly naive?: number
  /** Milliseconds, where the table is known. */
  readonly aware?: number
  readonly ratio: number
}

/**
 * Figures of arXiv 2402.04925 as reviews of it quote its tables; its abstract says "up to 1.81x" and "up to 1.78x", so
 * the averages here are not all from the same statistic.
 */
export const published: ReadonlyArray<Published> = [
  { gpu: "A100", model: "Llama-70B", ranks: 8, naive: 0.539, aware: 0.291, ratio: 1.85 },
  { gpu: "H100", model: "Llama-70B", ranks: 8, naive: 0.259, aware: 0.141, ratio: 1.84 },
  { gpu: "A100", model: "Granite-20B", ranks: 8, naive: 0.512, aware: 0.294, ratio: 1.74 },
  { gpu: "H100", model: "Granite-20B", ranks: 8, naive: 0.252, aware: 0.148, ratio: 1.7 },
  { gpu: "A100", model: "Llama-70B", ranks: 4, ratio: 1.78 },
  { gpu: "A100", model: "Granite-20B", ranks: 4, ratio: 1.77 }
]

/** Data sheet: memory 2.04 TB/s, 312 Tflop/s f16, NVLink 300 GB/s each way. Hop and start times are assumed. */
const a100 = {
  bytesPerSecond: 2.04e12,
  operationsPerSecond: 312e12,
  dispatch: 5e-6,
  collective: 10e-6,
  link: { latency: 1e-6, secondsPerByte: 1 / 300e9 },
  secondsPerSum: 0
}

/** Data sheet: memory 3.35 TB/s, 989 Tflop/s f16, NVLink 450 GB/s each way. Hop and start times are assumed. */
const h100 = {
  ...a100,
  bytesPerSecond: 3.35e12,
  operationsPerSecond: 989e12,
  link: { latency: 1e-6, secondsPerByte: 1 / 450e9 }
}

/**
 * Machines by name. Those ending in `-as-published` have one figure fitted, the cost of a collective: such that the
 * TP-aware Llama-70B MLP on 8 ranks takes the published time. It is many times what the links need: on the paper's
 * machines starting and joining a collective is what TP-aware saves.
 */
export const machines = {
  A100: a100,
  H100: h100,
  "A100-as-published": { ...a100, collective: 200e-6 },
  "H100-as-published": { ...h100, collective: 76e-6 }
} as const satisfies Record<string, Machine>
