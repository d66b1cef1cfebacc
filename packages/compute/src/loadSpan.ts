/**
 * Loads a span of blocks: weights from the cache, graphs for one to eight sessions, a probe.
 *
 * Reproducibility (docs/numerics.md): the matmul kernels give bit-equal rows for every count of rows but one, and
 * attention for every count of queries but one. So a lone token is run as two equal rows, and in graphs for several
 * sessions each attention repeats its last query. Then a row depends neither on how a prompt is cut nor on who shares
 * the run.
 * @module
 */
import { Engine, type EngineError, type Service as EngineService } from "@swarm/engine"
import type { Model, PlanOptions, SpanPlan } from "@swarm/model"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type Batch, type BatchStep, copyRows, makeBatch } from "./batch.ts"
import { floats, rowBuffers } from "./buffers.ts"
import { ProbeFailed, type WeightCacheError } from "./ComputeError.ts"
import { makePace, type Pace } from "./pace.ts"
import { probe, probeRows } from "./probe.ts"
import type { Span, SpanStep } from "./Span.ts"
import { type KvTensors, kvBytesPerToken, openSlot } from "./slots.ts"
import { prepareWeights, type Weights } from "./weights.ts"

export interface SpanOptions extends PlanOptions {
  /** Results that depend neither on chunking nor on batching. @default true */
  readonly reproducible?: boolean
  /** Most sessions in one run: 1, 2, 4 or 8. @default 8 */
  readonly maxSessions?: number
  /** Threads of a run. @default 1 */
  readonly threads?: number
  /**
   * Runs happen on the calling thread, however long: for a process that does nothing else. By default only those do that
   * take a few milliseconds. @default false
   */
  readonly blocking?: boolean
  /** Where packed weights are kept. @default `cacheFolder()` */
  readonly weightFolder?: string
}

/** Loads blocks [from, to) of `model`. Everything is freed with the scope, after a run in flight has ended. */
export const loadSpan = (
  model: Model,
  from: number,
  to: number,
  options: SpanOptions = {}
): Effect.Effect<Span, EngineError | WeightCacheError | ProbeFailed, Engine | Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const plan = model.span(from, to, options)
    const reproducible = options.reproducible ?? true
    const weights = yield* prepareWeights(
      engine,
      {
        key: [
          model.digest,
          from,
          to,
          options.weights ?? "as-is",
          options.group ?? 0,
          options.activations ?? "int8",
          plan.maxPositions
        ],
        initializers: plan.initializers,
        folds: plan.folds,
        agree: (plain, folded) => foldsAgree(engine, plan, plain, folded),
        graph: (locate) => plan.graph({ sessions: 1, duplicate: false }, locate)
      },
      options.weightFolder
    )
    // graphs that are loaded late, too, close after the runner: what waits in its queue needs them
    const graphs = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const load = (sessions: number) =>
      loadBatch(engine, plan, weights, sessions, reproducible, options).pipe(Scope.extend(graphs))
    const single = yield* load(1)
    const runner = makeRunner(
      engine,
      plan,
      single,
      (sessions) => Effect.runPromise(load(sessions)),
      reproducible,
      options.maxSessions ?? 8,
      makePace(options.blocking ?? false)
    )
    yield* Effect.addFinalizer(() => Effect.promise(runner.close))
    const span = { ...runner.span, weightBytes: weights.bytes }
    const result = yield* Effect.promise(() => probe(span))
    if (result._tag === "Broken") return yield* new ProbeFailed({ from, to, detail: result.detail })
    return { ...span, digest: result.digest, reproducible: span.reproducible && result.reproducible }
  })

const loadBatch = (
  engine: EngineService,
  plan: SpanPlan,
  weights: Weights,
  sessions: number,
  reproducible: boolean,
  { threads = 1 }: SpanOptions
) =>
  Effect.gen(function* () {
    // the graph for one session is padded from outside: its second row may carry a token of its own
    const duplicate = reproducible && sessions > 1
    const program = yield* engine.load(
      { model: plan.graph({ sessions, duplicate, folded: weights.folded }, weights.locate), folder: weights.folder },
      { threads }
    )
    return yield* Effect.acquireRelease(
      Effect.sync(() => makeBatch(engine, program, plan, sessions, duplicate)),
      (batch) => Effect.sync(batch.close)
    )
  })

/** Largest difference of folded weights relative to the largest output: what rounding the sums of blocks may cost. */
const FOLD_TOLERANCE = 0.05
const FOLD_ROWS = 8

/** Runs a few rows through both; weights whose offsets the runtime does not heed would be far off. */
const foldsAgree = (engine: EngineService, plan: SpanPlan, plain: Weights, folded: Weights) =>
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
      const batch = yield* loadBatch(engine, plan, weights, 1, false, {})
      const shape = [1, FOLD_ROWS, plan.hiddenSize]
      const pair = { input: engine.tensor("f32", shape), output: engine.tensor("f32", shape) }
      floats(pair.input).set(x)
      const kv = openSlot(engine, plan, FOLD_ROWS)
      yield* Effect.promise(() => batch.run([{ kv, position: 0, tokens: FOLD_ROWS }], pair, false))
      const y = floats(pair.output).slice()
      kv.free()
      pair.input.free()
      pair.output.free()
      return y
    })
  )

/** Queues runs and picks the graph for each. */
const makeRunner = (
  engine: EngineService,
  plan: SpanPlan,
  single: Batch,
  load: (sessions: number) => Promise<Batch>,
  reproducible: boolean,
  maxSessions: number,
  pace: Pace
) => {
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
    await pace.time(rows, (blocking) => single.run([{ ...step, tokens: rows }], pair, blocking))
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
    padding ??= openSlot(engine, plan, 1)
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
    await pace.time(rows, (blocking) => batch.run(placed, pair, blocking))
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
      const slot = openSlot(engine, plan, capacity)
      let open = true
      const free = () => {
        if (!open) return
        open = false
        // in the queue of runs: one may use the slot, and a binding that still names it would keep its memory
        tail = tail.then(() => {
          if (!closed) {
            padding ??= openSlot(engine, plan, 1)
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
