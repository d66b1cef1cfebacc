/**
 * The worker of the binding layer: holds sessions and resident tensors, and runs, which blocks its thread.
 * @module
 */
import { parentPort } from "node:worker_threads"
import { env, InferenceSession, Tensor } from "onnxruntime-node"
import type { BindingType, Bound, Loaded, Reply, Request } from "./bindingProtocol.ts"

type Typed = Extract<Request, { readonly kind: "tensor" }>

const arrays: Readonly<Record<BindingType, new (memory: ArrayBufferLike) => Exclude<Tensor["data"], Array<string>>>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array
}

if (parentPort === null) throw new Error("Cannot start: not in a worker")
const port = parentPort
const send = (reply: Reply): void => port.postMessage(reply)

const sessions = new Map<number, InferenceSession>()

/** A tensor of the binding. `shared` is what the other thread sees: the binding itself refuses shared memory. */
interface Held {
  readonly tensor: Tensor
  readonly bytes: Uint8Array
  readonly shared: Uint8Array | undefined
}

const tensors = new Map<number, Held>()

const hold = ({ memory, shape, type }: Typed): Held => {
  const resident = typeof memory === "number"
  const buffer = new ArrayBuffer(resident ? memory : memory.byteLength)
  return {
    tensor: new Tensor(type, new arrays[type](buffer), shape),
    bytes: new Uint8Array(buffer),
    shared: resident ? undefined : new Uint8Array(memory)
  }
}

const load = async (request: Extract<Request, { readonly kind: "load" }>): Promise<Loaded> => {
  const session = await InferenceSession.create(request.model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 4,
    extra: {
      session: {
        intra_op: { allow_spinning: request.spinning ? "1" : "0" },
        ...(request.folder === undefined ? {} : { model_external_initializers_file_folder_path: request.folder })
      }
    }
  })
  sessions.set(request.id, session)
  return { inputs: session.inputNames, outputs: session.outputNames }
}

const bound = (entries: ReadonlyArray<Bound>): ReadonlyArray<readonly [name: string, held: Held]> =>
  entries.map(([name, number]) => {
    const held = tensors.get(number)
    if (held === undefined) throw new Error(`the tensor bound to "${name}" is gone`)
    return [name, held]
  })

const tensorsOf = (entries: ReadonlyArray<readonly [string, Held]>): Record<string, Tensor> =>
  Object.fromEntries(entries.map(([name, { tensor }]) => [name, tensor]))

const run = async (request: Extract<Request, { readonly kind: "run" }>): Promise<void> => {
  const session = sessions.get(request.program)
  if (session === undefined) throw new Error("the program is closed")
  const [inputs, outputs] = [bound(request.inputs), bound(request.outputs)]
  for (const [, { bytes, shared }] of inputs) if (shared !== undefined) bytes.set(shared)
  const results = await session.run(tensorsOf(inputs), tensorsOf(outputs))
  for (const [name, { bytes, shared, tensor }] of outputs) {
    const result = results[name]
    if (result === undefined) throw new Error(`output "${name}" was not computed`)
    take(name, result, tensor, bytes)
    shared?.set(bytes)
  }
}

/** Copies a result into the tensor that was bound for it, unless the runtime has written there. */
const take = (name: string, result: Tensor, tensor: Tensor, bytes: Uint8Array): void => {
  const { data } = result
  if (!ArrayBuffer.isView(data)) throw new Error(`output "${name}" is not of numbers`)
  if (data.buffer === bytes.buffer) return
  if (result.dims.join() !== tensor.dims.join()) {
    throw new Error(`output "${name}" has shape [${result.dims}], the tensor bound to it [${tensor.dims}]`)
  }
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

const unload = async (program: number): Promise<void> => {
  await sessions.get(program)?.release()
  sessions.delete(program)
}

const answer = async (request: Request): Promise<void> => {
  switch (request.kind) {
    case "tensor":
      tensors.set(request.tensor, hold(request))
      return
    case "free":
      tensors.delete(request.tensor)
      return
    case "close":
      for (const program of sessions.keys()) await unload(program)
      tensors.clear()
      port.close()
      return
    default:
      try {
        if (request.kind === "load") send({ kind: "done", id: request.id, loaded: await load(request) })
        else {
          if (request.kind === "run") await run(request)
          else await unload(request.program)
          send({ kind: "done", id: request.id })
        }
      } catch (cause) {
        send({ kind: "failed", id: request.id, detail: cause instanceof Error ? cause.message : String(cause) })
      }
  }
}

env.logLevel = "fatal"
let last = Promise.resolve()
port.on("message", (request: Request) => {
  last = last.then(() => answer(request))
})
send({ kind: "ready" })
