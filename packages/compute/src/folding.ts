/**
 * Whether weights that carry their offsets compute what the graph would.
 * @module
 */
import type { Service as EngineService } from "@swarm/engine"
import type { SpanPlan } from "@swarm/model"
import * as Effect from "effect/Effect"
import { loadBatch } from "./batch.ts"
import { floats } from "./buffers.ts"
import { probeRows } from "./probe.ts"
import { openSlot } from "./slots.ts"
import type { Weights } from "./weights.ts"

/** Largest difference of folded weights relative to the largest output: what rounding the sums of blocks may cost. */
const FOLD_TOLERANCE = 0.05
const FOLD_ROWS = 8

/** Runs a few rows through both; weights whose offsets the runtime does not heed would be far off. */
export const foldsAgree = (engine: EngineService, plan: SpanPlan, plain: Weights, folded: Weights) =>
  Effect.gen(function* () {
    const x = probeRows(FOLD_ROWS, plan.hiddenSize)
    const [expected, got] = yield* Effect.forEach([plain, folded], (weights) => runOnce(engine, plan, weights, x))
    let difference = 0
    let scale = 0
    for (let i = 0; i < x.length; i++) {
      difference = Math.max(difference, Math.abs((got?.[i] ?? Number.NaN) - (expected?.[i] ?? 0)))
      scale = Math.max(scale, Math.abs(expected?.[i] ?? 0))
    }
    return difference <= FOLD_TOLERANCE * scale
  })

const runOnce = (engine: EngineService, plan: SpanPlan, weights: Weights, x: Float32Array) =>
  Effect.scoped(
    Effect.gen(function* () {
      const batch = yield* loadBatch(engine, plan, weights, { sessions: 1, duplicate: false, threads: 1 })
      const shape = [1, FOLD_ROWS, plan.hiddenSize]
      const pair = { input: engine.tensor("f32", shape), output: engine.tensor("f32", shape) }
      floats(pair.input).set(x)
      const kv = openSlot(engine, plan, FOLD_ROWS)
      yield* Effect.promise(() =>
        batch.run([{ kv, position: 0, tokens: FOLD_ROWS }], pair, { blocking: false, rows: FOLD_ROWS })
      )
      const y = floats(pair.output).slice()
      kv.free()
      pair.input.free()
      pair.output.free()
      return y
    })
  )
