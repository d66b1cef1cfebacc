/**
 * A rank above 0 at work: it does what rank 0 says, until the group ends.
 * @module
 */
import type { Communicator } from "@swarm/tp-kernels"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Scope from "effect/Scope"
import type { Batch, BatchStep } from "./batch.ts"
import { copyRows } from "./batch.ts"
import { floats, rowBuffers } from "./buffers.ts"
import { sumOver } from "./groupTraffic.ts"
import { makePace } from "./pace.ts"
import type { Prepared } from "./prepareSpan.ts"
import { decodeCommand, type RankStep } from "./rankCommands.ts"
import { loadSegments } from "./segments.ts"
import { type KvTensors, openSlot } from "./slots.ts"

/** How a rank computes; the same on all ranks but for the threads. */
export interface RankOptions {
  readonly reproducible: boolean
  readonly threads: number
}

/**
 * Follows rank 0 of `group`. `single` is the graph for one session. Succeeds when rank 0 ends the group; fails with
 * `RankLost` when a rank is lost, or with what kept this rank from doing what it was told.
 */
export const followRank = (
  { engine, plan, weights }: Prepared,
  group: Communicator,
  single: Batch,
  { reproducible, threads }: RankOptions
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    // closed after the finalizer below, whenever a graph was loaded
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const { hiddenSize } = plan
    const shape = (rows: number) => [1, rows, hiddenSize]
    const buffers = rowBuffers(engine, { input: shape, output: shape })
    const batches = new Map<number, Promise<Batch>>([[1, Promise.resolve(single)]])
    const slots = new Map<number, KvTensors>()
    // a binding that still names a cache would keep its memory
    const blank = openSlot(engine, plan, 1)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const slot of [blank, ...slots.values()]) slot.free()
        buffers.close()
      })
    )

    const load = (sessions: number): Promise<Batch> =>
      Effect.runPromise(
        loadSegments(engine, plan, weights, {
          sessions,
          duplicate: reproducible && sessions > 1,
          threads,
          reduce: sumOver(group),
          pace: makePace(true)
        }).pipe(Scope.extend(scope))
      )

    const step = ({ slot, position, tokens }: RankStep): BatchStep => {
      const kv = slots.get(slot)
      if (kv === undefined) throw new RangeError(`Cannot run cache ${slot}: it is not open`)
      // one row more than the capacity is there for a padded token
      if (tokens < 1 || position + tokens > kv.capacity + 1) {
        throw new RangeError(`Cannot run ${tokens} tokens at position ${position}: the cache holds ${kv.capacity}`)
      }
      return { kv, position, tokens }
    }

    const run = async (steps: ReadonlyArray<RankStep>, x: Float32Array): Promise<void> => {
      const batch = await batches.get(steps.length)
      if (batch === undefined) throw new RangeError(`Cannot run ${steps.length} sessions: no graph was asked for`)
      const placed = steps.map(step)
      const [given, rows] = [x.length / hiddenSize, placed.reduce((sum, { tokens }) => sum + tokens, 0)]
      if (given < 1 || given > rows) throw new RangeError(`Cannot run ${rows} rows: ${given} came`)
      const pair = buffers.get(rows)
      const input = floats(pair.input)
      copyRows(x, 0, input, 0, given, hiddenSize)
      for (let row = given; row < rows; row++) copyRows(x, given - 1, input, row, 1, hiddenSize)
      await batch.run(placed, pair, { blocking: true, rows: given })
    }

    const free = async (name: number): Promise<void> => {
      const slot = slots.get(name)
      if (slot === undefined) return
      slots.delete(name)
      for (const batch of batches.values()) (await batch).forget(slot, blank)
      slot.free()
    }

    const follow = async (): Promise<void> => {
      for (;;) {
        const { tag, payload } = await group.awaitNext(0)
        const command = decodeCommand(tag, payload, hiddenSize)
        switch (command?.kind) {
          case "load": {
            const loading = load(command.sessions)
            // a failure is met when the graph is first used
            loading.catch(() => undefined)
            batches.set(command.sessions, loading)
            break
          }
          case "open":
            slots.set(command.slot, openSlot(engine, plan, command.capacity))
            break
          case "free":
            await free(command.slot)
            break
          case "run":
            await run(command.steps, command.x)
            break
          case "end":
            return
          default:
            throw group.fault(0, "desync")
        }
      }
    }
    yield* Effect.tryPromise({
      try: follow,
      // the others wait for this rank's part
      catch: (cause) => {
        if (group.lost() === undefined) group.fault(group.rank, "closed")
        return cause
      }
    })
    yield* Effect.promise(() => Promise.allSettled(batches.values()))
  })
