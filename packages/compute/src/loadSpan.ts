/**
 * Loads a span of blocks: weights from the cache, graphs for one to eight sessions, a probe.
 * @module
 */
import type { Engine, EngineError } from "@swarm/engine"
import type { Model, PlanOptions } from "@swarm/model"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Scope from "effect/Scope"
import { loadBatch } from "./batch.ts"
import { ProbeFailed, type WeightCacheError } from "./ComputeError.ts"
import { makePace } from "./pace.ts"
import { prepareSpan } from "./prepareSpan.ts"
import { probe } from "./probe.ts"
import { makeRunner } from "./runner.ts"
import type { Span } from "./Span.ts"
import { openSlot } from "./slots.ts"

export interface SpanOptions extends Omit<PlanOptions, "shard"> {
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
    const { reproducible = true, maxSessions = 8, threads = 1, blocking = false } = options
    const { engine, plan, weights } = yield* prepareSpan(model, from, to, options)
    // closed after the finalizer below, whenever a graph was loaded
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    // the graph for one session is padded from outside: its second row may carry a token of its own
    const load = (sessions: number) =>
      loadBatch(engine, plan, weights, { sessions, duplicate: reproducible && sessions > 1, threads }).pipe(
        Scope.extend(scope)
      )
    const runner = makeRunner({
      engine,
      plan,
      single: yield* load(1),
      load: (sessions) => Effect.runPromise(load(sessions)),
      openSlot: (capacity) => openSlot(engine, plan, capacity),
      reproducible,
      maxSessions,
      pace: makePace(blocking)
    })
    yield* Effect.addFinalizer(() => Effect.promise(runner.close))
    return yield* probed({ ...runner.span, weightBytes: weights.bytes })
  })

/** The span with the digest of its probe. */
export const probed = <S extends Span>(span: S): Effect.Effect<S, ProbeFailed> =>
  Effect.gen(function* () {
    const result = yield* Effect.promise(() => probe(span))
    const { from, to } = span
    if (result._tag === "Broken") return yield* new ProbeFailed({ from, to, detail: result.detail })
    return { ...span, digest: result.digest, reproducible: span.reproducible && result.reproducible }
  })
