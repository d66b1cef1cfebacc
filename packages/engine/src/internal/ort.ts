/**
 * The C API of ONNX Runtime, called through koffi.
 *
 * `OrtApi` is a table of function pointers that only grows: an index, once given, stays.
 * @see {@link https://github.com/microsoft/onnxruntime/blob/v1.30.0/include/onnxruntime/core/session/onnxruntime_c_api.h}
 * @module
 */
import koffi, { type LibraryHandle } from "koffi"
import { loadLibrary, processFunction } from "./foreign.ts"
import { keepHeapSmall } from "./heap.ts"
import { libraryPath } from "./library.ts"
import { disableTelemetry } from "./telemetry.ts"

/** A pointer. */
export type Pointer = bigint

/** The version of the API that is asked for. Every function below is in it. */
const API_VERSION = 20
const TABLE_LENGTH = 158

const pointer = "void *"
const text = "const char *"
/** Paths are UTF-16 on Windows and UTF-8 elsewhere. */
const pathText = process.platform === "win32" ? "const char16_t *" : text
const size = "size_t"
/** A last argument that receives a pointer, or a size. */
const out = "out pointer"
const outSize = "out size"

/** Index in the table, and the types of the arguments. All return a status, those named "Release" nothing. */
const signatures = {
  CreateEnv: [3, ["int", text, out]],
  CreateSessionFromArray: [8, [pointer, pointer, size, pointer, out]],
  CreateSessionOptions: [10, [out]],
  SetOptimizedModelFilePath: [11, [pointer, pathText]],
  DisableMemPattern: [17, [pointer]],
  SetSessionGraphOptimizationLevel: [23, [pointer, "int"]],
  SetIntraOpNumThreads: [24, [pointer, "int"]],
  SessionGetInputCount: [30, [pointer, outSize]],
  SessionGetOutputCount: [31, [pointer, outSize]],
  SessionGetInputName: [36, [pointer, size, pointer, out]],
  SessionGetOutputName: [37, [pointer, size, pointer, out]],
  CreateTensorWithDataAsOrtValue: [49, [pointer, pointer, size, "const int64_t *", size, "int", out]],
  CreateCpuMemoryInfo: [69, ["int", "int", out]],
  AllocatorFree: [76, [pointer, pointer]],
  GetAllocatorWithDefaultOptions: [78, [out]],
  ReleaseStatus: [93, [pointer]],
  ReleaseMemoryInfo: [94, [pointer]],
  ReleaseSession: [95, [pointer]],
  ReleaseValue: [96, [pointer]],
  ReleaseSessionOptions: [100, [pointer]],
  AddSessionConfigEntry: [130, [pointer, text, text]],
  RunWithBinding: [133, [pointer, pointer, pointer]],
  CreateIoBinding: [134, [pointer, out]],
  ReleaseIoBinding: [135, [pointer]],
  BindInput: [136, [pointer, text, pointer]],
  BindOutput: [137, [pointer, text, pointer]],
  CreateAndRegisterAllocator: [144, [pointer, pointer, pointer]],
  CreateArenaCfg: [156, [size, "int", "int", "int", out]],
  ReleaseArenaCfg: [157, [pointer]]
} as const

const GET_ERROR_MESSAGE = 2

type Name = keyof typeof signatures
type Release = Extract<Name, `Release${string}`>
type Fallible = Exclude<Name, Release>

interface Native {
  (...args: ReadonlyArray<unknown>): Pointer | null
  readonly async: (...args: ReadonlyArray<unknown>) => void
}

/** A call failed. The message is the runtime's own. */
export class OrtFailure extends Error {}

/** The loaded library. */
export interface Ort {
  /** Held so that koffi does not unload it. */
  readonly library: LibraryHandle
  readonly version: string
  /** Calls a function. Throws {@link OrtFailure}. */
  readonly call: (name: Fallible, ...args: ReadonlyArray<unknown>) => void
  /** Calls a function whose last argument receives a pointer or a size, and returns that. Throws {@link OrtFailure}. */
  readonly make: (name: Fallible, ...args: ReadonlyArray<unknown>) => Pointer
  /** `call` on a thread of libuv's pool. Pointers and arrays among `args` stay alive meanwhile. */
  readonly callAsync: (name: Fallible, ...args: ReadonlyArray<unknown>) => Promise<void>
  /** `make` on a thread of libuv's pool. */
  readonly makeAsync: (name: Fallible, ...args: ReadonlyArray<unknown>) => Promise<Pointer>
  readonly release: (name: Release, object: Pointer) => void
  /** The environment, one for the process, never released: sessions of other owners may share it. */
  readonly environment: Pointer
  /** Describes host memory. */
  readonly memoryInfo: Pointer
  /** The allocator of the runtime's strings. */
  readonly allocator: Pointer
}

/** `ORT_LOGGING_LEVEL_FATAL`: what fails is reported by its status, not by lines on stderr. */
const LOG_LEVEL = 4

/** `OrtAllocatorType` and `OrtMemType`. */
const DEVICE_ALLOCATOR = 0
const ARENA_ALLOCATOR = 1
const DEFAULT_MEMORY = 0

const open = (): Ort => {
  disableTelemetry(processFunction("int setenv(const char *name, const char *value, int overwrite)"))
  const library = loadLibrary(libraryPath())
  keepHeapSmall()
  const base = library.func("void *OrtGetApiBase()")()
  const [getApi, getVersion]: ReadonlyArray<Pointer> = koffi.decode(base, koffi.array(pointer, 2))
  const version: string = koffi.call(getVersion, koffi.proto(text, []))
  const api = koffi.call(getApi, koffi.proto(pointer, ["uint32_t"]), API_VERSION)
  if (api === null) throw new Error(`ONNX Runtime ${version} does not know version ${API_VERSION} of its C API`)
  const table: ReadonlyArray<Pointer> = koffi.decode(api, koffi.array(pointer, TABLE_LENGTH))

  const outTypes = new Map([
    [out, koffi.out(koffi.pointer(pointer))],
    [outSize, koffi.out(koffi.pointer(size))]
  ])
  const bind = (index: number, result: string, args: ReadonlyArray<string>): Native =>
    koffi.decode(
      table[index],
      koffi.proto(
        result,
        args.map((type) => outTypes.get(type) ?? type)
      )
    )
  const functions = new Map<Name, Native>()
  for (const [name, [index, args]] of Object.entries(signatures) as Array<[Name, (typeof signatures)[Name]]>) {
    functions.set(name, bind(index, name.startsWith("Release") ? "void" : pointer, args))
  }
  const get = (name: Name): Native => {
    const found = functions.get(name)
    if (found === undefined) throw new TypeError(`Cannot call ${name}: it is not declared`)
    return found
  }
  const message: (status: Pointer) => string = koffi.decode(table[GET_ERROR_MESSAGE], koffi.proto(text, [pointer]))
  const release: Ort["release"] = (name, object) => {
    get(name)(object)
  }
  /** The failure that a status tells of; the status is released. */
  const failure = (status: Pointer | null): OrtFailure | undefined => {
    if (!status) return undefined
    const error = new OrtFailure(message(status))
    release("ReleaseStatus", status)
    return error
  }

  const call: Ort["call"] = (name, ...args) => {
    const error = failure(get(name)(...args))
    if (error !== undefined) throw error
  }
  const make: Ort["make"] = (name, ...args) => {
    const result: [Pointer | null] = [null]
    call(name, ...args, result)
    return BigInt(result[0] ?? 0)
  }
  const inFlight = new Set<ReadonlyArray<unknown>>()
  const callAsync: Ort["callAsync"] = (name, ...args) =>
    new Promise((resolve, reject) => {
      get(name).async(...args, (error: unknown, status: Pointer | null) => {
        inFlight.delete(args)
        const failed = error ?? failure(status)
        if (failed === undefined || failed === null) resolve()
        else reject(failed)
      })
      // the call reads and writes memory of its arguments, which only this keeps from being collected
      inFlight.add(args)
    })
  const makeAsync: Ort["makeAsync"] = async (name, ...args) => {
    const result: [Pointer | null] = [null]
    await callAsync(name, ...args, result)
    return BigInt(result[0] ?? 0)
  }
  const environment = make("CreateEnv", LOG_LEVEL, "swarm")
  // intermediate results of all sessions come from one arena: it grows to what the largest run needs, not to that of each
  const arenaMemory = make("CreateCpuMemoryInfo", ARENA_ALLOCATOR, DEFAULT_MEMORY)
  const arena = make("CreateArenaCfg", 0, -1, -1, -1)
  call("CreateAndRegisterAllocator", environment, arenaMemory, arena)
  release("ReleaseArenaCfg", arena)
  release("ReleaseMemoryInfo", arenaMemory)
  return {
    library,
    version,
    call,
    make,
    callAsync,
    makeAsync,
    release,
    environment,
    memoryInfo: make("CreateCpuMemoryInfo", DEVICE_ALLOCATOR, DEFAULT_MEMORY),
    allocator: make("GetAllocatorWithDefaultOptions")
  }
}

/** Kept for the life of the process: calls into a library that koffi has collected and unloaded end it. */
let loaded: Ort | undefined

/** The library, loaded at first use. Throws `Error` where it cannot be. */
export const ort = (): Ort => {
  loaded ??= open()
  return loaded
}
