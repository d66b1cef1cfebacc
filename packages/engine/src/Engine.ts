/**
 * The engine: runs ONNX graphs over device tensors. Nothing above this package may know which runtime computes.
 * @module
 */
import type { ElementType, TensorArray } from "@swarm/tensor"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { EngineError } from "./EngineError.ts"

/** The array through which the host sees a tensor (f16: raw bits in a Uint16Array). */
export type HostArray = TensorArray

/**
 * A tensor that the runtime owns. `data` is the host's window on it: written before a run, read after it, valid until
 * `free`. A resident tensor (`data` undefined) never crosses to the host: KV caches, bound as input and as output at
 * once, are written in place. Its pages are zero and untouched until a run writes them.
 */
export interface DeviceTensor {
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
  readonly bytes: number
  readonly data: HostArray | undefined
  /** Releases the memory, after the runs in flight that use it; further runs reject. Idempotent. */
  readonly free: () => void
}

/**
 * The tensors that one run reads and writes. Not for two runs at once. Binding throws `TypeError` during a run, after
 * `close`, and for a tensor that is freed or of another engine; what is bound already costs nothing to bind again.
 */
export interface Binding {
  /** Binds `tensor` to the graph input `name` until bound anew. Throws `RangeError` for an unknown name. */
  readonly input: (name: string, tensor: DeviceTensor) => void
  /** Binds `tensor` to the graph output `name`. The same tensor as an input: computed in place where the operator can. */
  readonly output: (name: string, tensor: DeviceTensor) => void
  /**
   * Runs the graph once; every input and output must be bound. The event loop stays free meanwhile. Rejects with
   * `RunError`, after which the binding is as good as before.
   *
   * `blocking`: on the calling thread instead, which saves the hand-over (some tenths of a millisecond) and keeps the
   * processor's caches, but the event loop waits: for runs of a few milliseconds. A hint: a layer may not be able to.
   */
  readonly run: (options?: { readonly blocking?: boolean }) => Promise<void>
  /** Releases the binding, after a run in flight. Idempotent. */
  readonly close: () => void
}

/** A loaded graph. */
export interface Program {
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly bind: () => Binding
}

/** A graph to load: `model` is a serialized ModelProto; its external data is found in `folder`. */
export interface ProgramSource {
  readonly model: Uint8Array
  /** Absolute path of the folder that `location` entries of external initializers are relative to. */
  readonly folder?: string
}

/** How to load a graph. */
export interface LoadOptions {
  /** Threads that one run uses, >= 1. @default 1 */
  readonly threads?: number
  /** Worker threads wait actively. Faster on an idle machine with threads > 1, ruinous on a busy one. @default false */
  readonly spinning?: boolean
}

/** Where one initializer of a packed file lies; `prepacked` entries go verbatim into the initializer's external data. */
export interface PackedEntry {
  readonly offset: number
  readonly length: number
  readonly prepacked: Readonly<Record<string, string>>
}

/**
 * Offsets that packed weights may carry: with them the matmul by `weights` computes scale * (q - zero) + offset. Arrays
 * are read when they are needed, one fold at a time.
 */
export interface Fold {
  /** Name of the initializer with the codes of a `MatMulNBits` at accuracy level 4. */
  readonly weights: string
  /** The zero point of all codes. */
  readonly zero: number
  readonly rows: number
  readonly blocks: number
  /** f32 (rows, blocks) */
  readonly scales: () => Float32Array
  /** f32 (blocks, rows) */
  readonly offsets: () => Float32Array
}

/** What `pack` wrote: one file in the source's folder, and the entry of each initializer that it holds. */
export interface PackedWeights {
  readonly location: string
  /** Size of the file. */
  readonly bytes: number
  /** The part of it that loaded programs keep in memory: the packed form of each tensor, or the tensor where it has none. */
  readonly mappedBytes: number
  readonly entries: ReadonlyMap<string, PackedEntry>
  /** Weights that carry their offsets now. Of the folds asked for, all on x64; elsewhere none. */
  readonly folded: ReadonlySet<string>
}

/** Who computes. */
export interface Info {
  /** Which layer computes. */
  readonly layer: "capi" | "binding"
  /** Runtime and version, such as "onnxruntime 1.30.0". */
  readonly runtime: string
  /** Instruction set that kernels (and packed weights) depend on, such as "x64-avx512-vnni". */
  readonly instructionSet: string
}

/** What an engine does. */
export interface Service {
  readonly info: Info
  /** Loads a graph in the background; unloaded with its scope, after its runs. Throws `RangeError` for a number of threads below 1. */
  readonly load: (source: ProgramSource, options?: LoadOptions) => Effect.Effect<Program, EngineError, Scope.Scope>
  /** Allocates a tensor; freed by its `free` (the caller's duty) or with the engine. Throws `RangeError` for a bad shape. */
  readonly tensor: (
    type: ElementType,
    shape: ReadonlyArray<number>,
    options?: { readonly resident?: boolean }
  ) => DeviceTensor
  /**
   * Writes the weights of a graph in the form that the kernels use, each blob page-aligned, so that several programs
   * and processes map one copy. Undefined where the layer cannot. `location` names the file to write in `folder`;
   * nothing else is left there. Meanwhile the disk holds the result twice and memory once. `folds`: offsets to put
   * into the packed weights where that is possible, so that the graph need not add them.
   */
  readonly pack:
    | ((
        source: ProgramSource & { readonly folder: string },
        location: string,
        folds?: ReadonlyArray<Fold>
      ) => Effect.Effect<PackedWeights, EngineError>)
    | undefined
}

/** The engine. */
export class Engine extends Context.Tag("@swarm/engine/Engine")<Engine, Service>() {}
