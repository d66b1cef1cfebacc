/**
 * Loads the head: embedding, final norm, output matrix.
 * @module
 */
import { Engine, type EngineError } from "@swarm/engine"
import type { Model, PlanOptions } from "@swarm/model"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { floats, rowBuffers } from "./buffers.ts"
import type { WeightCacheError } from "./ComputeError.ts"
import type { Head } from "./Span.ts"
import { prepareWeights } from "./weights.ts"

export interface HeadOptions extends PlanOptions {
  /** Results that do not depend on how rows are grouped: a lone row is run twice where the kernels ask for it. @default true */
  readonly reproducible?: boolean
  readonly threads?: number
  /** Runs happen on the calling thread. @default false */
  readonly blocking?: boolean
  readonly weightFolder?: string
}

/** Rows of one run: logits of a long text are computed in pieces. */
const ROWS = 32

/** Loads the head of `model`; freed with the scope. */
export const loadHead = (
  model: Model,
  options: HeadOptions = {}
): Effect.Effect<Head, EngineError | WeightCacheError, Engine | Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const plan = model.head(options)
    const weights = yield* prepareWeights(
      engine,
      {
        key: [model.digest, "head", options.weights ?? "as-is", options.group ?? 0, options.activations ?? "int8"],
        initializers: plan.initializers,
        graph: plan.graph
      },
      options.weightFolder
    )
    const program = yield* engine.load(
      { model: plan.graph(weights.locate), folder: weights.folder },
      { threads: options.threads ?? 1, blocking: options.blocking ?? false }
    )
    const binding = yield* Effect.acquireRelease(
      Effect.sync(() => program.bind()),
      (bound) => Effect.sync(bound.close)
    )
    const buffers = yield* Effect.acquireRelease(
      Effect.sync(() =>
        rowBuffers(engine, { input: (rows) => [rows, plan.hiddenSize], output: (rows) => [rows, plan.vocabSize] })
      ),
      (kept) => Effect.sync(kept.close)
    )
    const embedding = model.embedding()
    const leastRows = (options.reproducible ?? true) ? plan.leastRows : 1
    let tail: Promise<unknown> = Promise.resolve()
    yield* Effect.addFinalizer(() => Effect.promise(() => tail))

    const piece = async (x: Float32Array, first: number, rows: number, out: Float32Array): Promise<void> => {
      const pair = buffers.get(Math.max(rows, leastRows))
      const input = floats(pair.input)
      const values = x.subarray(first * plan.hiddenSize, (first + rows) * plan.hiddenSize)
      input.set(values)
      if (rows < leastRows) input.set(values, plan.hiddenSize)
      binding.input("x", pair.input)
      binding.output("logits", pair.output)
      await binding.run()
      out.set(floats(pair.output).subarray(0, rows * plan.vocabSize), first * plan.vocabSize)
    }
    const logits = async (x: Float32Array): Promise<Float32Array> => {
      const rows = x.length / plan.hiddenSize
      if (!Number.isInteger(rows) || rows < 1) {
        throw new RangeError(
          `Cannot compute logits as x must hold rows of ${plan.hiddenSize} values: current length is ${x.length}`
        )
      }
      const out = new Float32Array(rows * plan.vocabSize)
      for (let first = 0; first < rows; first += ROWS) await piece(x, first, Math.min(ROWS, rows - first), out)
      return out
    }
    return {
      hiddenSize: plan.hiddenSize,
      vocabSize: plan.vocabSize,
      embed: (ids) => embedding.lookup(ids),
      logits: (x) => {
        const result = tail.then(() => logits(x))
        tail = result.catch(() => undefined)
        return result
      }
    }
  })
