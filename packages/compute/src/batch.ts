/**
 * One graph for a fixed number of sessions, and the binding that its runs use.
 * @module
 */
import type { Binding, DeviceTensor, Service as Engine, Program } from "@swarm/engine"
import type { SpanPlan } from "@swarm/model"
import type { RowBuffers } from "./buffers.ts"
import type { KvTensors } from "./slots.ts"

/** One session's part of a run, with its tensors. */
export interface BatchStep {
  readonly kv: KvTensors
  readonly position: number
  readonly tokens: number
}

/** A loaded graph for `sessions` sessions. One run at a time. */
export interface Batch {
  readonly sessions: number
  /**
   * Runs `steps` (exactly `sessions` of them) over `buffers`, whose input holds the rows in the order that `place` gave.
   */
  readonly run: (steps: ReadonlyArray<BatchStep>, buffers: RowBuffers, blocking: boolean) => Promise<void>
  /**
   * The order in which to hand steps to `run`: a session stays where it was bound last, since binding a session anew
   * costs four calls a block. `order[i]` is the index of the step at place i, or -1: a place for padding.
   */
  readonly place: (steps: ReadonlyArray<BatchStep>) => Array<number>
  /** Binds `instead` wherever `kv` is bound. Not during a run. */
  readonly forget: (kv: KvTensors, instead: KvTensors) => void
  readonly close: () => void
}

export const makeBatch = (
  engine: Engine,
  program: Program,
  plan: SpanPlan,
  sessions: number,
  duplicate: boolean
): Batch => {
  const binding: Binding = program.bind()
  const last: Array<DeviceTensor> = []
  const total: Array<DeviceTensor> = []
  for (let s = 0; s < sessions; s++) {
    last.push(engine.tensor("i32", [1]))
    total.push(engine.tensor("i32", [1]))
    binding.input(`last_${s}`, last[s] as DeviceTensor)
    binding.input(`total_${s}`, total[s] as DeviceTensor)
  }
  const split = sessions > 1 ? engine.tensor("i64", [sessions]) : undefined
  if (split !== undefined) binding.input("split", split)
  const bound: Array<KvTensors["blocks"] | undefined> = new Array(sessions).fill(undefined)

  const bind = (place: number, kv: KvTensors) => {
    if (bound[place] === kv.blocks) return
    bound[place] = kv.blocks
    if (plan.encoder) return
    for (let block = plan.from; block < plan.to; block++) {
      const pair = kv.blocks[block - plan.from] as { readonly k: DeviceTensor; readonly v: DeviceTensor }
      binding.input(`past_k_${block}_${place}`, pair.k)
      binding.input(`past_v_${block}_${place}`, pair.v)
      binding.output(`present_k_${block}_${place}`, pair.k)
      binding.output(`present_v_${block}_${place}`, pair.v)
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
    run: (steps, buffers, blocking) => {
      steps.forEach((step, place) => {
        bind(place, step.kv)
        const rows = step.tokens + (duplicate ? 1 : 0)
        ;((last[place] as DeviceTensor).data as Int32Array)[0] = step.position + rows - 1
        ;((total[place] as DeviceTensor).data as Int32Array)[0] = step.position + rows
        if (split !== undefined) (split.data as BigInt64Array)[place] = BigInt(step.tokens)
      })
      binding.input("x", buffers.input)
      binding.output("y", buffers.output)
      return binding.run({ blocking })
    },
    forget: (kv, instead) => {
      for (let place = 0; place < sessions; place++) if (bound[place] === kv.blocks) bind(place, instead)
    },
    close: () => {
      binding.close()
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
