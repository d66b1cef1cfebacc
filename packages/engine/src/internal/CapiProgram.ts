/**
 * Sessions of ONNX Runtime, run through IoBindings.
 * @module
 */
import koffi from "koffi"
import type { ProgramSource } from "../Engine.ts"
import { CapiTensor } from "./CapiTensor.ts"
import type { Threading } from "./loadOptions.ts"
import { ManagedProgram } from "./ManagedProgram.ts"
import type { Ort, Pointer } from "./ort.ts"

/** `ORT_ENABLE_ALL`. */
const OPTIMISE_ALL = 99

/** Creates session options, hands them to `use`, and releases them. */
export const withSessionOptions = async <A>(
  ort: Ort,
  { folder }: ProgramSource,
  { spinning, threads }: Threading,
  use: (options: Pointer) => Promise<A>
): Promise<A> => {
  const options = ort.make("CreateSessionOptions")
  try {
    const set = (key: string, value: string) => ort.call("AddSessionConfigEntry", options, key, value)
    ort.call("SetIntraOpNumThreads", options, threads)
    ort.call("SetSessionGraphOptimizationLevel", options, OPTIMISE_ALL)
    // it would be kept anew for every number of rows
    ort.call("DisableMemPattern", options)
    set("session.use_env_allocators", "1")
    // weights stay out of the arena, which never shrinks
    set("session.use_device_allocator_for_initializers", "1")
    set("session.intra_op.allow_spinning", spinning ? "1" : "0")
    if (folder !== undefined) set("session.model_external_initializers_file_folder_path", folder)
    return await use(options)
  } finally {
    ort.release("ReleaseSessionOptions", options)
  }
}

/** Creates a session in the background. Rejects with `OrtFailure`. */
export const createSession = (ort: Ort, model: Uint8Array, options: Pointer): Promise<Pointer> =>
  ort.makeAsync("CreateSessionFromArray", ort.environment, model, model.byteLength, options)

/** The names of a session's inputs or outputs. */
const readNames = (ort: Ort, session: Pointer, kind: "Input" | "Output"): ReadonlyArray<string> => {
  const names: Array<string> = []
  const count = Number(ort.make(`SessionGet${kind}Count`, session))
  for (let i = 0; i < count; i++) {
    const text = ort.make(`SessionGet${kind}Name`, session, i, ort.allocator)
    names.push(koffi.decode.string(text))
    ort.call("AllocatorFree", ort.allocator, text)
  }
  return names
}

/** A session as a program. */
export const capiProgram = (ort: Ort, session: Pointer): ManagedProgram<CapiTensor> =>
  new ManagedProgram({
    inputs: readNames(ort, session, "Input"),
    outputs: readNames(ort, session, "Output"),
    bind: () => {
      const binding = ort.make("CreateIoBinding", session)
      return {
        owns: (tensor): tensor is CapiTensor => tensor instanceof CapiTensor,
        attach: (kind, name, tensor) => {
          ort.call(kind === "input" ? "BindInput" : "BindOutput", binding, name, tensor.value)
        },
        run: async (blocking) =>
          blocking
            ? ort.call("RunWithBinding", session, null, binding)
            : ort.callAsync("RunWithBinding", session, null, binding),
        destroy: () => ort.release("ReleaseIoBinding", binding)
      }
    },
    destroy: () => ort.release("ReleaseSession", session)
  })
