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
import { makePace } from "./pace.ts"
import { type Piece, rowQueue } from "./rowQueue.ts"
import type { Head } from "./Span.ts"
import { prepareWeights } from "./weights.ts"

export interface HeadOptions extends PlanOptions {
  /** Results that do not depend on how rows are grouped: a lone row is run twice where the kernels ask for it. @default true */
  readonly reproducible?: boolean
  readonly threads?: number
  /** Runs happen on the calling thread, however long. @default false */
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
      { threads: options.threads ?? 1 }
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
    const pace = makePace(options.blocking ?? false)
    const embedding = model.embedding()
    const leastRows = (options.reproducible ?? true) ? plan.leastRows : 1
    const run = async (pieces: ReadonlyArray<Piece>): Promise<void> => {
      const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0)
      const pair = buffers.get(Math.max(rows, leastRows))
      const input = floats(pair.input)
      let at = 0
      for (const piece of pieces) {
        input.set(piece.x, at * plan.hiddenSize)
        at += piece.rows
      }
      if (rows < leastRows) input.set(input.subarray(0, plan.hiddenSize), plan.hiddenSize)
      binding.input("x", pair.input)
      binding.output("logits", pair.output)
      await pace.time(Math.max(rows, leastRows), (blocking) => binding.run({ blocking }))
      const output = floats(pair.output)
      at = 0
      for (const piece of pieces) {
        piece.out.set(output.subarray(at * plan.vocabSize, (at + piece.rows) * plan.vocabSize))
        at += piece.rows
      }
    }
    const queue = rowQueue(ROWS, run)
    yield* Effect.addFinalizer(() => Effect.promise(queue.idle))

    const logits = async (x: Float32Array): Promise<Float32Array> => {
      const rows = x.length / plan.hiddenSize
      if (!Number.isInteger(rows) || rows < 1) {
        throw new RangeError(
          `Cannot compute logits as x must hold rows of ${plan.hiddenSize} values: current length is ${x.length}`
        )
      }
      const out = new Float32Array(rows * plan.vocabSize)
      const pieces: Array<Promise<void>> = []
      for (let first = 0; first < rows; first += ROWS) {
        const last = Math.min(first + ROWS, rows)
        pieces.push(
          queue.add({
            rows: last - first,
            x: x.subarray(first * plan.hiddenSize, last * plan.hiddenSize),
            out: out.subarray(first * plan.vocabSize, last * plan.vocabSize)
          })
        )
      }
      await Promise.all(pieces)
      return out
    }
    return {
      hiddenSize: plan.hiddenSize,
      vocabSize: plan.vocabSize,
      embed: embedding.lookup,
      logits
    }
  })
