/**
 * The segments of a graph, run one after the other; between them the ranks of a group sum what each has.
 * @module
 */
import type { Binding, DeviceTensor, Service as Engine } from "@swarm/engine"
import type { Segment, SpanPlan } from "@swarm/model"
import * as Effect from "effect/Effect"
import { type Batch, type BatchOptions, makeBatch, type Runnable } from "./batch.ts"
import { floats, rowBuffers } from "./buffers.ts"
import type { Pace } from "./pace.ts"
import type { Weights } from "./weights.ts"

/** Sums `x` over the ranks, in place. */
export type Reduce = (x: Float32Array) => Promise<unknown>

/** Loads the segments of the graph for a number of sessions. */
export const loadSegments = (
  engine: Engine,
  plan: SpanPlan,
  weights: Weights,
  options: BatchOptions & { readonly reduce: Reduce; readonly pace: Pace }
): Effect.Effect<
  Batch,
  Effect.Effect.Error<ReturnType<Engine["load"]>>,
  Effect.Effect.Context<ReturnType<Engine["load"]>>
> =>
  Effect.gen(function* () {
    const { threads, reduce, pace, ...graph } = options
    const segments = plan.segments({ ...graph, folded: weights.folded }, weights.locate)
    const programs = yield* Effect.forEach(segments, ({ model }) =>
      engine.load({ model, folder: weights.folder }, { threads })
    )
    const parts = segments.map((segment, i): Part => {
      const program = programs[i]
      if (program === undefined) throw new RangeError(`Segment ${i} was not loaded`)
      return { segment, binding: program.bind(), inputs: new Set(program.inputs), outputs: new Set(program.outputs) }
    })
    return yield* Effect.acquireRelease(
      Effect.sync(() => makeBatch(engine, chain(engine, plan, parts, reduce, pace), plan, options)),
      (batch) => Effect.sync(batch.close)
    )
  })

interface Part {
  readonly segment: Segment
  readonly binding: Binding
  readonly inputs: ReadonlySet<string>
  readonly outputs: ReadonlySet<string>
}

const chain = (
  engine: Engine,
  { hiddenSize }: SpanPlan,
  parts: ReadonlyArray<Part>,
  reduce: Reduce,
  pace: Pace
): Runnable => {
  const places = assignPlaces(parts.map(({ segment }) => segment))
  const count = Math.max(0, ...places.values()) + 1
  const buffers = rowBuffers(
    engine,
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`, (rows: number) => [1, rows, hiddenSize]]))
  )
  let input: DeviceTensor | undefined

  return {
    input: (name, tensor) => {
      if (name === "x") input = tensor
      for (const { binding, inputs } of parts) if (inputs.has(name)) binding.input(name, tensor)
    },
    output: (name, tensor) => {
      for (const { binding, outputs } of parts) if (outputs.has(name)) binding.output(name, tensor)
    },
    run: async ({ rows }) => {
      const all = input?.shape[1] ?? 0
      const tensors = buffers.get(all)
      const tensorOf = (value: string) => tensors[`${places.get(value)}`] as DeviceTensor
      for (const { binding, segment } of parts) {
        for (const value of segment.reads) if (value !== "x") binding.input(value, tensorOf(value))
        for (const value of segment.writes) binding.output(value, tensorOf(value))
        await pace.time(all, (blocking) => binding.run({ blocking }))
        if (segment.cut !== undefined) await reduce(floats(tensorOf(segment.cut)).subarray(0, rows * hiddenSize))
      }
    },
    close: () => {
      for (const { binding } of parts) binding.close()
      buffers.close()
    }
  }
}

/** Values share a tensor when one is no longer read before the other is written: four tensors for any depth. */
const assignPlaces = (segments: ReadonlyArray<Segment>): ReadonlyMap<string, number> => {
  const lastRead = new Map(segments.flatMap(({ reads }, i) => reads.map((value) => [value, i] as const)))
  const places = new Map<string, number>()
  /** Per place: the segment that reads its value last. */
  const busyUntil: Array<number> = []
  segments.forEach(({ writes }, i) => {
    for (const value of writes) {
      const free = busyUntil.findIndex((until) => until < i)
      const place = free < 0 ? busyUntil.length : free
      busyUntil[place] = lastRead.get(value) ?? i
      places.set(value, place)
    }
  })
  return places
}
