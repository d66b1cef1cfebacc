/**
 * Runs of a span: one at a time, with the graph that fits, lone tokens padded.
 *
 * Reproducibility (docs/numerics.md): the matmul kernels give bit-equal rows for every count of rows but one, and
 * attention for every count of queries but one. So a lone token is run as two equal rows, and in graphs for several
 * sessions each attention repeats its last query. Then a row depends neither on how a prompt is cut nor on who shares
 * the run.
 * @module
 */
import type { Service as EngineService } from "@swarm/engine"
import type { SpanPlan } from "@swarm/model"
import { type Batch, type BatchStep, copyRows } from "./batch.ts"
import { floats, rowBuffers } from "./buffers.ts"
import type { Pace } from "./pace.ts"
import type { Span, SpanStep } from "./Span.ts"
import { type KvTensors, kvBytesPerToken } from "./slots.ts"

/** What runs are made of. */
export interface RunnerParts {
  readonly engine: EngineService
  readonly plan: SpanPlan
  readonly single: Batch
  /** The graph for so many sessions. */
  readonly load: (sessions: number) => Promise<Batch>
  readonly openSlot: (capacity: number) => KvTensors
  readonly reproducible: boolean
  readonly maxSessions: number
  readonly pace: Pace
}

/** Queues runs and picks the graph for each. */
export const makeRunner = (parts: RunnerParts) => {
  const { engine, plan, single, load, openSlot, reproducible, maxSessions, pace } = parts
  const { hiddenSize } = plan
  const shape = (rows: number) => [1, rows, hiddenSize]
  const buffers = rowBuffers(engine, { input: shape, output: shape })
  const batches = new Map<number, Batch>([[1, single]])
  const loading = new Map<number, Promise<void>>()
  let padding: KvTensors | undefined
  let tail: Promise<unknown> = Promise.resolve()
  let closed = false

  /** A graph for `count` sessions, or for fewer while the one that fits is still being loaded. */
  const batchFor = (count: number): Batch => {
    let sessions = 1
    while (sessions < count) sessions *= 2
    if (!batches.has(sessions) && !loading.has(sessions)) {
      const pending = load(sessions).then(
        (batch) => {
          batches.set(sessions, batch)
        },
        // the smaller graphs go on; a graph that cannot be loaded would have failed with one session too
        () => undefined
      )
      loading.set(sessions, pending)
    }
    while (!batches.has(sessions)) sessions /= 2
    return batches.get(sessions) as Batch
  }

  const runOne = async (step: BatchStep, x: Float32Array, row: number, y: Float32Array): Promise<void> => {
    const rows = reproducible && step.tokens === 1 ? 2 : step.tokens
    const pair = buffers.get(rows)
    copyRows(x, row, floats(pair.input), 0, step.tokens, hiddenSize)
    if (rows > step.tokens) copyRows(x, row, floats(pair.input), 1, 1, hiddenSize)
    await pace.time(rows, (blocking) => single.run([{ ...step, tokens: rows }], pair, { blocking, rows: step.tokens }))
    copyRows(floats(pair.output), 0, y, row, step.tokens, hiddenSize)
  }

  const runMany = async (
    batch: Batch,
    steps: ReadonlyArray<BatchStep>,
    firstRows: ReadonlyArray<number>,
    x: Float32Array,
    y: Float32Array
  ) => {
    const order = batch.place(steps)
    padding ??= openSlot(1)
    const blank: BatchStep = { kv: padding, position: 0, tokens: 1 }
    const placed = order.map((index) => (index < 0 ? blank : (steps[index] as BatchStep)))
    const rows = placed.reduce((sum, step) => sum + step.tokens, 0)
    const pair = buffers.get(rows)
    const input = floats(pair.input)
    let at = 0
    placed.forEach((step, place) => {
      const index = order[place] as number
      // a padded place takes any finite row: its result is dropped
      copyRows(x, index < 0 ? 0 : (firstRows[index] as number), input, at, step.tokens, hiddenSize)
      at += step.tokens
    })
    await pace.time(rows, (blocking) => batch.run(placed, pair, { blocking, rows }))
    const output = floats(pair.output)
    at = 0
    placed.forEach((step, place) => {
      const index = order[place] as number
      if (index >= 0) copyRows(output, at, y, firstRows[index] as number, step.tokens, hiddenSize)
      at += step.tokens
    })
  }

  const run = async (steps: ReadonlyArray<SpanStep>, x: Float32Array): Promise<Float32Array> => {
    const checked = check(steps, x, plan)
    const y = new Float32Array(x.length)
    for (let at = 0; at < steps.length; ) {
      const batch = batchFor(Math.min(steps.length - at, maxSessions))
      const end = Math.min(at + batch.sessions, steps.length)
      if (batch.sessions === 1) await runOne(checked.steps[at] as BatchStep, x, checked.firstRows[at] as number, y)
      else await runMany(batch, checked.steps.slice(at, end), checked.firstRows.slice(at, end), x, y)
      at = end
    }
    return y
  }

  const span: Span = {
    from: plan.from,
    to: plan.to,
    hiddenSize,
    encoder: plan.encoder,
    maxSessions,
    reproducible,
    weightBytes: 0,
    kvBytesPerToken: kvBytesPerToken(plan),
    digest: "",
    open: (capacity) => {
      const slot = openSlot(capacity)
      let open = true
      const free = () => {
        if (!open) return
        open = false
        // in the queue of runs: one may use the slot, and a binding that still names it would keep its memory
        tail = tail.then(() => {
          if (!closed) {
            padding ??= openSlot(1)
            for (const batch of batches.values()) batch.forget(slot, padding)
          }
          slot.free()
        })
      }
      return { capacity: slot.capacity, blocks: slot.blocks, free } satisfies KvTensors
    },
    run: (steps, x) => {
      const result = tail.then(() => run(steps, x))
      tail = result.catch(() => undefined)
      return result
    }
  }
  const close = async () => {
    await tail
    await Promise.allSettled(loading.values())
    closed = true
    padding?.free()
    buffers.close()
  }
  return { span, close }
}

const check = (steps: ReadonlyArray<SpanStep>, x: Float32Array, { hiddenSize, encoder }: SpanPlan) => {
  const firstRows: Array<number> = []
  let rows = 0
  for (const { kv, position, tokens } of steps) {
    if (!(tokens >= 1) || !(position >= 0) || position + tokens > kv.capacity) {
      throw new RangeError(`Cannot run ${tokens} tokens at position ${position} as the KV cache holds ${kv.capacity}`)
    }
    if (encoder && position !== 0) {
      throw new RangeError(`Cannot run ${tokens} tokens at position ${position}: an encoder reads a text in one step`)
    }
    firstRows.push(rows)
    rows += tokens
  }
  if (rows * hiddenSize !== x.length) {
    throw new RangeError(
      `Cannot run the span as x must hold ${rows} x ${hiddenSize} values: current length is ${x.length}`
    )
  }
  // every slot of this span was made by its own `open`
  return { steps: steps as ReadonlyArray<BatchStep>, firstRows }
}
