/**
 * The engine of this machine.
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { layerBinding } from "./Binding.ts"
import { layerCapi } from "./Capi.ts"
import type { Engine } from "./Engine.ts"
import type { LoadError } from "./EngineError.ts"

/** `layerCapi`; where it cannot be loaded, `layerBinding`, with a warning: slower, but the same results. */
export const layer: Layer.Layer<Engine, LoadError> = layerCapi.pipe(
  Layer.catchAll((error) =>
    Layer.unwrapEffect(
      Effect.as(Effect.logWarning(`${error.message}; falling back to the official binding, which copies`), layerBinding)
    )
  )
)
