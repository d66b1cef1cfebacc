/**
 * The engine over the official binding of ONNX Runtime, which blocks its thread and copies: in a worker, for platforms
 * where the C API cannot be called.
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type DeviceTensor, Engine, type ProgramSource, type Service } from "./Engine.ts"
import { LoadError } from "./EngineError.ts"
import { instructionSet } from "./instructionSet.ts"
import { libraryVersion } from "./internal/library.ts"
import { type Threading, threading } from "./internal/loadOptions.ts"
import { type Kind, ManagedProgram } from "./internal/ManagedProgram.ts"
import { type BindingWorker, startWorker } from "./internal/startWorker.ts"
import { WorkerTensor } from "./internal/WorkerTensor.ts"

const detailOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).trim()

const load = async (
  worker: BindingWorker,
  { folder, model }: ProgramSource,
  { spinning, threads }: Threading
): Promise<ManagedProgram<WorkerTensor>> => {
  const { id: program, loaded } = await worker.ask({ kind: "load", model, folder, threads, spinning })
  if (loaded === undefined) throw new Error("the worker did not say what it loaded")
  return new ManagedProgram({
    ...loaded,
    bind: () => {
      const bound: Readonly<Record<Kind, Map<string, number>>> = { input: new Map(), output: new Map() }
      return {
        owns: (tensor: DeviceTensor): tensor is WorkerTensor =>
          tensor instanceof WorkerTensor && tensor.worker === worker,
        attach: (kind, name, tensor) => {
          bound[kind].set(name, tensor.number)
        },
        run: async () => {
          await worker.ask({ kind: "run", program, inputs: [...bound.input], outputs: [...bound.output] })
        },
        destroy: () => undefined
      }
    },
    destroy: async () => {
      // a worker that has ended holds nothing
      await worker.ask({ kind: "unload", program }).catch(() => undefined)
    }
  })
}

/**
 * Starts a worker with the official binding. When the scope closes, runs in flight end first; the worker is never
 * terminated. Every run copies its outputs, so a KV cache costs its whole size a step. Fails with `LoadError` of reason
 * "library" where the binding cannot be loaded.
 */
export const makeBinding: Effect.Effect<Service, LoadError, Scope.Scope> = Effect.gen(function* () {
  const worker = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: startWorker,
      catch: (cause) => new LoadError({ reason: "library", detail: detailOf(cause), cause })
    }),
    (started) => Effect.promise(started.close)
  )
  return {
    info: { layer: "binding", runtime: `onnxruntime ${libraryVersion()}`, instructionSet: instructionSet() },
    load: (source, options = {}) => {
      const threads = threading(options)
      return Effect.acquireRelease(
        Effect.tryPromise({
          try: () => load(worker, source, threads),
          catch: (cause) => new LoadError({ reason: "graph", detail: detailOf(cause), cause })
        }),
        (program) => Effect.promise(() => program.close())
      )
    },
    tensor: (type, shape, { resident = false } = {}) => new WorkerTensor(worker, type, shape, resident),
    pack: undefined
  }
})

/** {@link makeBinding} as a layer. */
export const layerBinding: Layer.Layer<Engine, LoadError> = Layer.scoped(Engine, makeBinding)
