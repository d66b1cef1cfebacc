/**
 * Messages between the binding layer and its worker. Memory that both see lies in `SharedArrayBuffer`s.
 * @module
 */

/** Element types that the official binding knows, under its names. */
export type BindingType =
  | "float32"
  | "float64"
  | "float16"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool"

/** A bound tensor: name in the graph, number of the tensor. */
export type Bound = readonly [name: string, tensor: number]

/** To the worker. `memory`: shared with the host, or the bytes of a resident tensor. Requests are done one at a time, in order. */
export type Request =
  | {
      readonly kind: "tensor"
      readonly tensor: number
      readonly type: BindingType
      readonly shape: ReadonlyArray<number>
      readonly memory: SharedArrayBuffer | number
    }
  | { readonly kind: "free"; readonly tensor: number }
  | {
      readonly kind: "load"
      readonly id: number
      readonly model: Uint8Array
      readonly folder: string | undefined
      readonly threads: number
      readonly spinning: boolean
    }
  | { readonly kind: "unload"; readonly id: number; readonly program: number }
  | {
      readonly kind: "run"
      readonly id: number
      readonly program: number
      readonly inputs: ReadonlyArray<Bound>
      readonly outputs: ReadonlyArray<Bound>
    }
  | { readonly kind: "close" }

/** What `load` answers. The program's number is the id of its request. */
export interface Loaded {
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
}

/** From the worker. */
export type Reply =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly id: number; readonly loaded?: Loaded }
  | { readonly kind: "failed"; readonly id: number; readonly detail: string }
