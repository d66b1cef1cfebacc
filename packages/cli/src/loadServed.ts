/**
 * What a server serves: a span in its process, or over ranks.
 * @module
 */
import { checkShards, type GroupFailed, loadParallelSpan, loadSpan, type Span } from "@swarm/compute"
import type { Model } from "@swarm/model"
import type { BlockRange } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import { UsageError } from "./args.ts"
import { ownCommand, startRank } from "./children.ts"
import { transportLayer } from "./layers.ts"
import { type NumericValues, spanOptions } from "./numerics.ts"

interface Values extends NumericValues {
  readonly model: string | undefined
  readonly "tensor-parallel": number | undefined
  readonly "tensor-parallel-peers": ReadonlyArray<string>
}

/** A span, and who computes it. */
interface Served {
  readonly span: Span
  readonly ranks: number
  /** Processes of this machine that compute it, this one first. */
  readonly pids: ReadonlyArray<number>
  /** Settles when a rank is lost: nothing can be computed any more. */
  readonly lost: Promise<GroupFailed> | undefined
}

/** Fails, before anything is loaded, with what keeps the span from being shared as the options ask. */
export const assertShared = (values: Values, model: Model, { from, to }: BlockRange) => {
  const { "tensor-parallel": wanted = 1, "tensor-parallel-peers": peers } = values
  if (wanted > 1 && peers.length > 0)
    return Effect.fail(new UsageError("give either --tensor-parallel or --tensor-parallel-peers"))
  const ranks = Math.max(wanted, peers.length + 1)
  return ranks === 1 ? Effect.void : checkShards(model, from, to, ranks, spanOptions(values))
}

/** Loads a span in this process, or over the ranks that the options ask for: processes of this machine, or addresses. */
export const loadServed = (values: Values, model: Model, { from, to }: BlockRange) =>
  Effect.gen(function* () {
    const { "tensor-parallel": wanted = 1, "tensor-parallel-peers": peers } = values
    if (wanted === 1 && peers.length === 0) {
      const span: Span = yield* loadSpan(model, from, to, spanOptions(values))
      return { span, ranks: 1, pids: [process.pid], lost: undefined } satisfies Served
    }
    const local = Effect.forEach(
      Array.from({ length: wanted - 1 }),
      () =>
        startRank({ command: ownCommand(), args: ["--model", values.model ?? "", "--once", ...rankThreads(values)] }),
      { concurrency: "unbounded" }
    )
    const processes = peers.length > 0 ? [] : yield* local
    const pids = [process.pid, ...processes.map(({ pid }) => pid)]
    const ranks = peers.length > 0 ? peers : processes.map(({ address }) => address)
    const span = yield* loadParallelSpan(model, from, to, { ...spanOptions(values), ranks }).pipe(
      Effect.provide(transportLayer)
    )
    return { span, ranks: span.ranks, pids, lost: span.lost } satisfies Served
  })

const rankThreads = ({ threads }: Values): ReadonlyArray<string> =>
  threads === undefined ? [] : ["--threads", `${threads}`]
