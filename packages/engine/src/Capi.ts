/**
 * The engine over the C API of ONNX Runtime: tensors in place, runs in the background, no copies.
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Engine, type Service } from "./Engine.ts"
import { LoadError, PackError } from "./EngineError.ts"
import { instructionSet } from "./instructionSet.ts"
import { capiProgram, createSession, withSessionOptions } from "./internal/CapiProgram.ts"
import { CapiTensor } from "./internal/CapiTensor.ts"
import { trimHeap } from "./internal/heap.ts"
import { threading } from "./internal/loadOptions.ts"
import { OrtFailure, ort } from "./internal/ort.ts"
import { pack } from "./internal/pack.ts"

const detailOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).trim()

/**
 * Loads the library that `onnxruntime-node` ships. When the scope closes, runs in flight end first, then every tensor is
 * freed. Fails with `LoadError` of reason "library" where the library or koffi cannot be loaded.
 */
export const makeCapi: Effect.Effect<Service, LoadError, Scope.Scope> = Effect.gen(function* () {
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
          catch: (cause) => new LoadError({ reason: "graph", detail: detailOf(cause), cause })
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
    pack: ({ folder, model }, location) =>
      Effect.uninterruptible(
        Effect.tryPromise({
          try: () => pack(runtime, model, folder, location),
          catch: (cause) =>
            cause instanceof OrtFailure
              ? new LoadError({ reason: "graph", detail: cause.message, cause })
              : new PackError({ folder, detail: detailOf(cause), cause })
        })
      )
  }
})

/** {@link makeCapi} as a layer. */
export const layerCapi: Layer.Layer<Engine, LoadError> = Layer.scoped(Engine, makeCapi)
