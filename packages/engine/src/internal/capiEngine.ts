/**
 * The service behind `layerCapi`. A module of its own, since importing koffi fails where it has no binary.
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Service } from "../Engine.ts"
import { LoadError, PackError } from "../EngineError.ts"
import { instructionSet } from "../instructionSet.ts"
import { capiProgram, createSession, withSessionOptions } from "./CapiProgram.ts"
import { CapiTensor } from "./CapiTensor.ts"
import { trimHeap } from "./heap.ts"
import { threading } from "./loadOptions.ts"
import { OrtFailure, ort } from "./ort.ts"
import { pack } from "./pack.ts"

const detailOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).trim()

const graphError = (cause: unknown): LoadError => {
  const detail = detailOf(cause)
  return new LoadError({ reason: /bad_alloc|allocate memory/i.test(detail) ? "memory" : "graph", detail, cause })
}

/** See `makeCapi`. */
export const capiEngine: Effect.Effect<Service, LoadError, Scope.Scope> = Effect.gen(function* () {
  const runtime = yield* Effect.try({
    try: ort,
    catch: (cause) => new LoadError({ reason: "library", detail: detailOf(cause), cause })
  })
  const tensors = new Set<CapiTensor>()
  const released = (tensor: CapiTensor) => tensors.delete(tensor)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const tensor of tensors) tensor.free()
    })
  )
  return {
    info: { layer: "capi", runtime: `onnxruntime ${runtime.version}`, instructionSet: instructionSet() },
    load: (source, options = {}) => {
      const threads = threading(options)
      return Effect.acquireRelease(
        Effect.tryPromise({
          try: () =>
            withSessionOptions(runtime, source, threads, (handle) => createSession(runtime, source.model, handle)),
          catch: graphError
        }).pipe(
          Effect.map((session) => {
            trimHeap()
            return capiProgram(runtime, session)
          })
        ),
        (program) => Effect.promise(() => program.close())
      )
    },
    tensor: (type, shape, { resident = false } = {}) => {
      const tensor = new CapiTensor(runtime, type, shape, resident, released)
      tensors.add(tensor)
      return tensor
    },
    pack: ({ folder, model }, location, folds = []) =>
      Effect.uninterruptible(
        Effect.tryPromise({
          try: () => pack(runtime, model, folder, location, folds),
          catch: (cause) =>
            cause instanceof OrtFailure ? graphError(cause) : new PackError({ folder, detail: detailOf(cause), cause })
        })
      )
  }
})
