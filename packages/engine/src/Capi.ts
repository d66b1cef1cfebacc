/**
 * The engine over the C API of ONNX Runtime: tensors in place, runs in the background, no copies.
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Engine, type Service } from "./Engine.ts"
import { LoadError } from "./EngineError.ts"

/**
 * Loads the library that `onnxruntime-node` ships. When the scope closes, every tensor is freed, those of a run in flight
 * when it has ended. Fails with `LoadError` of reason "library" where the library or koffi cannot be loaded.
 */
export const makeCapi: Effect.Effect<Service, LoadError, Scope.Scope> = Effect.tryPromise({
  try: () => import("./internal/capiEngine.ts"),
  catch: (cause) =>
    new LoadError({ reason: "library", detail: cause instanceof Error ? cause.message : String(cause), cause })
}).pipe(Effect.flatMap(({ capiEngine }) => capiEngine))

/** {@link makeCapi} as a layer. */
export const layerCapi: Layer.Layer<Engine, LoadError> = Layer.scoped(Engine, makeCapi)
