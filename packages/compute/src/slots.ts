/**
 * KV caches of sessions: a pair of resident tensors for each block.
 * @module
 */
import type { DeviceTensor, Service as Engine } from "@swarm/engine"
import type { SpanPlan } from "@swarm/model"
import type { KvSlot } from "./Span.ts"

/** k, v: kvType (1, kvHeads, capacity + spare, headDim) for each block of the span; no pairs for an encoder. */
export interface KvTensors extends KvSlot {
  readonly blocks: ReadonlyArray<{ readonly k: DeviceTensor; readonly v: DeviceTensor }>
}

/** Rows beyond the capacity: the padded second row of a lone token, or the duplicated query, is written there. */
const SPARE_ROWS = 1

/** Bytes of KV that one token takes in the span: none in an encoder's. */
export const kvBytesPerToken = (plan: SpanPlan): number =>
  plan.encoder ? 0 : 2 * (plan.to - plan.from) * plan.kvHeads * plan.headDim * (plan.kvType === "f16" ? 2 : 4)

/** Allocates a cache. Memory is claimed from the machine only as tokens are written. */
export const openSlot = (engine: Engine, plan: SpanPlan, capacity: number): KvTensors => {
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > plan.maxPositions) {
    throw new RangeError(
      `Cannot open a KV cache as its capacity must be in 1..${plan.maxPositions}: current value is ${capacity}`
    )
  }
  const shape = [1, plan.kvHeads, capacity + SPARE_ROWS, plan.headDim]
  const blocks: Array<{ readonly k: DeviceTensor; readonly v: DeviceTensor }> = []
  for (let block = plan.from; block < plan.to && !plan.encoder; block++) {
    blocks.push({
      k: engine.tensor(plan.kvType, shape, { resident: true }),
      v: engine.tensor(plan.kvType, shape, { resident: true })
    })
  }
  let open = true
  return {
    capacity,
    blocks,
    free: () => {
      if (!open) return
      open = false
      for (const { k, v } of blocks) {
        k.free()
        v.free()
      }
    }
  }
}
