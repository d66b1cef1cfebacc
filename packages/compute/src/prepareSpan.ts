/**
 * The first part of loading a span: the plan and its weights.
 * @module
 */
import { Engine, type Service as EngineService } from "@swarm/engine"
import type { Model, PlanOptions, SpanPlan } from "@swarm/model"
import * as Effect from "effect/Effect"
import { foldsAgree } from "./folding.ts"
import { prepareWeights, type Weights } from "./weights.ts"

/** What is needed to load graphs of a span, or of a rank's part of it. */
export interface Prepared {
  readonly engine: EngineService
  readonly plan: SpanPlan
  readonly weights: Weights
}

/** Plans blocks [from, to) of `model` and finds or makes their packed weights. Throws as `Model.span`. */
export const prepareSpan = (
  model: Model,
  from: number,
  to: number,
  options: PlanOptions & { readonly weightFolder?: string }
) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const plan = model.span(from, to, options)
    const { shard } = options
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
          plan.maxPositions,
          ...(shard === undefined ? [] : [shard.rank, shard.ranks])
        ],
        initializers: plan.initializers,
        folds: plan.folds,
        agree: (plain, folded) => foldsAgree(engine, plan, plain, folded),
        graph: (locate) => plan.graph({ sessions: 1, duplicate: false }, locate)
      },
      options.weightFolder
    )
    return { engine, plan, weights } satisfies Prepared
  })
