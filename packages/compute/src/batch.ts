/**
 * One graph for a fixed number of sessions, and the binding that its runs use.
 * @module
 */
import type { DeviceTensor, Service as Engine } from "@swarm/engine"
import type { SpanPlan } from "@swarm/model"
import * as Effect from "effect/Effect"
import type { RowBuffers } from "./buffers.ts"
import type { KvTensors } from "./slots.ts"
import type { Weights } from "./weights.ts"

/** One session's part of a run, with its tensors. */
export interface BatchStep {
  readonly kv: KvTensors
  readonly position: number
  readonly tokens: number
}

/** How a run is done. */
export interface BatchRun {
  readonly blocking: boolean
  /** Rows of the output, from the first on, that anybody will read. */
  readonly rows: number
}

/** A loaded graph for `sessions` sessions. One run at a time. */
export interface Batch {
  readonly sessions: number
  /**
   * Runs `steps` (exactly `sessions` of them) over `buffers`, whose input holds the rows in the order that `place` gave.
   */
  readonly run: (steps: ReadonlyArray<BatchStep>, buffers: RowBuffers, how: BatchRun) => Promise<void>
  /**
   * The order in which to hand steps to `run`: a session stays where it was bound last, since binding a session anew
   * costs four calls a block. `order[i]` is the index of the step at place i, or -1: a place for padding.
   */
  readonly place: (steps: ReadonlyArray<BatchStep>) => Array<number>
  /** Binds `instead` wherever `kv` is bound. Not during a run. */
  readonly forget: (kv: KvTensors, instead: KvTensors) => void
  readonly close: () => void
}

/** What a batch binds its tensors to: a graph, or the segments of one. Names are those of `SpanPlan`. */
export interface Runnable {
  readonly input: (name: string, tensor: DeviceTensor) => void
  readonly output: (name: string, tensor: DeviceTensor) => void
  readonly run: (how: BatchRun) => Promise<void>
  readonly close: () => void
}

/** Which graph, and with how many threads. */
export interface BatchOptions {
  readonly sessions: number
  readonly duplicate: boolean
  readonly threads: number
}

/** Loads the graph for a number of sessions. */
export const loadBatch = (engine: Engine, plan: SpanPlan, weights: Weights, options: BatchOptions) =>
  Effect.gen(function* () {
    const { threads, ...graph } = options
    const model = plan.graph({ ...graph, folded: weights.folded }, weights.locate)
    const program = yield* engine.load({ model, folder: weights.folder }, { threads })
    return yield* Effect.acquireRelease(
      Effect.sync(() => makeBatch(engine, program.bind(), plan, options)),
      (batch) => Effect.sync(batch.close)
    )
  })

/** The batch over a graph; it closes `runnable` with itself. */
export const makeBatch = (
  engine: Engine,
  runnable: Runnable,
  plan: SpanPlan,
  { sessions, duplicate }: Omit<BatchOptions, "threads">
): Batch => {
  const last: Array<DeviceTensor> = []
  const total: Array<DeviceTensor> = []
  for (let s = 0; s < sessions; s++) {
    last.push(engine.tensor("i32", [1]))
    total.push(engine.tensor("i32", [1]))
    runnable.input(`last_${s}`, last[s] as DeviceTensor)
    runnable.input(`total_${s}`, total[s] as DeviceTensor)
  }
  const split = sessions > 1 ? engine.tensor("i64", [sessions]) : undefined
  if (split !== undefined) runnable.input("split", split)
  const bound: Array<KvTensors["blocks"] | undefined> = new Array(sessions).fill(undefined)

  const bind = (place: number, kv: KvTensors) => {
    if (bound[place] === kv.blocks) return
    bound[place] = kv.blocks
    if (plan.encoder) return
    for (let block = plan.from; block < plan.to; block++) {
      const pair = kv.blocks[block - plan.from] as { readonly k: DeviceTensor; readonly v: DeviceTensor }
      runnable.input(`past_k_${block}_${place}`, pair.k)
      runnable.input(`past_v_${block}_${place}`, pair.v)
      runnable.output(`present_k_${block}_${place}`, pair.k)
      runnable.output(`present_v_${block}_${place}`, pair.v)
    }
  }

  return {
    sessions,
    place: (steps) => {
      const order: Array<number> = new Array(sessions).fill(-1)
      const homeless: Array<number> = []
      steps.forEach((step, index) => {
        const home = bound.indexOf(step.kv.blocks)
        if (home >= 0 && order[home] === -1) order[home] = index
        else homeless.push(index)
      })
      for (const index of homeless) order[order.indexOf(-1)] = index
      return order
    },
    run: (steps, buffers, how) => {
      steps.forEach((step, place) => {
        bind(place, step.kv)
        const rows = step.tokens + (duplicate ? 1 : 0)
        ;((last[place] as DeviceTensor).data as Int32Array)[0] = step.position + rows - 1
        ;((total[place] as DeviceTensor).data as Int32Array)[0] = step.position + rows
        if (split !== undefined) (split.data as BigInt64Array)[place] = BigInt(step.tokens)
      })
      runnable.input("x", buffers.input)
      runnable.output("y", buffers.output)
      return runnable.run(how)
    },
    forget: (kv, instead) => {
      for (let place = 0; place < sessions; place++) if (bound[place] === kv.blocks) bind(place, instead)
    },
    close: () => {
      runnable.close()
      for (const tensor of [...last, ...total, ...(split === undefined ? [] : [split])]) tensor.free()
    }
  }
}

/** Copies `rows` rows of `hidden` floats from row `fromRow` of `source` to row `toRow` of `target`. */
export const copyRows = (
  source: Float32Array,
  fromRow: number,
  target: Float32Array,
  toRow: number,
  rows: number,
  hidden: number
): void => target.set(source.subarray(fromRow * hidden, (fromRow + rows) * hidden), toRow * hidden)
