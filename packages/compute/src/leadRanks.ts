/**
 * Rank 0 at work: each run of its own part tells the other ranks what to run.
 * @module
 */
import type { Communicator } from "@swarm/tp-kernels"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Scope from "effect/Scope"
import type { Batch, BatchRun, BatchStep } from "./batch.ts"
import { floats, type RowBuffers } from "./buffers.ts"
import { sumOver } from "./groupTraffic.ts"
import type { Pace } from "./pace.ts"
import type { Prepared } from "./prepareSpan.ts"
import { encodeCommand, type RankCommand } from "./rankCommands.ts"
import { makeRunner } from "./runner.ts"
import { loadSegments } from "./segments.ts"
import { type KvTensors, openSlot } from "./slots.ts"

/** What rank 0 runs with. */
export interface LeadOptions {
  readonly reproducible: boolean
  readonly maxSessions: number
  readonly threads: number
  readonly pace: Pace
}

/** The runner of a span whose other parts `group` holds. Closed with the scope, which ends the group. */
export const leadRanks = ({ engine, plan, weights }: Prepared, group: Communicator, options: LeadOptions) =>
  Effect.gen(function* () {
    const { reproducible, maxSessions, threads, pace } = options
    // closed after the finalizer below, whenever a graph was loaded
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const names = new WeakMap<KvTensors["blocks"], number>()
    let opened = 0

    let running = false
    const waiting: Array<RankCommand> = []
    /** A rank that cannot be told is lost, and the sums say so. */
    const tell = (command: RankCommand): void => {
      for (let rank = 1; rank < group.size; rank++) {
        // bytes are moved: each rank gets its own
        const { tag, payload } = encodeCommand(command, plan.hiddenSize)
        group.send(rank, tag, payload).catch(() => undefined)
      }
    }
    /** Tells as soon as no run is under way: in a run only sums are expected. */
    const mention = (command: RankCommand): void => {
      if (running) waiting.push(command)
      else tell(command)
    }

    const load = (sessions: number) =>
      Effect.gen(function* () {
        if (sessions > 1) mention({ kind: "load", sessions })
        const duplicate = reproducible && sessions > 1
        const how = { sessions, duplicate, threads, reduce: sumOver(group), pace }
        return told(yield* loadSegments(engine, plan, weights, how))
      }).pipe(Scope.extend(scope))

    /** The batch, with the other ranks running along. */
    const told = (batch: Batch): Batch => ({
      ...batch,
      run: async (steps: ReadonlyArray<BatchStep>, buffers: RowBuffers, how: BatchRun) => {
        const x = floats(buffers.input).subarray(0, how.rows * plan.hiddenSize)
        const named = steps.map(({ kv, position, tokens }) => ({ slot: names.get(kv.blocks) ?? 0, position, tokens }))
        running = true
        try {
          tell({ kind: "run", steps: named, x })
          await batch.run(steps, buffers, how)
        } catch (cause) {
          // the others wait for sums that will not come
          if (group.lost() === undefined) group.fault(group.rank, "closed")
          throw cause
        } finally {
          running = false
          for (const command of waiting.splice(0)) tell(command)
        }
      }
    })

    const open = (capacity: number): KvTensors => {
      const slot = openSlot(engine, plan, capacity)
      const name = ++opened
      names.set(slot.blocks, name)
      mention({ kind: "open", slot: name, capacity })
      return {
        ...slot,
        free: () => {
          mention({ kind: "free", slot: name })
          slot.free()
        }
      }
    }

    const runner = makeRunner({
      engine,
      plan,
      single: yield* load(1),
      load: (sessions) => Effect.runPromise(load(sessions)),
      openSlot: open,
      reproducible,
      maxSessions,
      // each segment is paced by itself
      pace: { time: (_rows, run) => run(false) }
    })
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        await runner.close()
        tell({ kind: "end" })
      })
    )
    return runner.span
  })
