/**
 * Tensors by number of rows, kept for reuse.
 * @module
 */
import type { DeviceTensor, Service as Engine } from "@swarm/engine"

/** Input and output of runs of a number of rows. */
export type RowBuffers = Buffers<"input" | "output">

/** Tensors by name. */
export type Buffers<K extends string> = Readonly<Record<K, DeviceTensor>>

/** Row counts kept; beyond them the least recently used tensors are freed. */
const KEPT = 24

/**
 * @param shapes give the shape of each tensor (f32) for a number of rows
 */
export const rowBuffers = <K extends string>(
  engine: Engine,
  shapes: Readonly<Record<K, (rows: number) => ReadonlyArray<number>>>
) => {
  const kept = new Map<number, Buffers<K>>()
  const names = Object.keys(shapes) as Array<K>
  const free = (buffers: Buffers<K>) => {
    for (const name of names) buffers[name].free()
  }
  const make = (rows: number) =>
    Object.fromEntries(names.map((name) => [name, engine.tensor("f32", shapes[name](rows))])) as Buffers<K>
  return {
    /** The tensors for `rows`. Valid until `KEPT` other counts have been asked for. */
    get: (rows: number): Buffers<K> => {
      let buffers = kept.get(rows)
      if (buffers === undefined) {
        buffers = make(rows)
        if (kept.size >= KEPT) {
          const [oldest, least] = kept.entries().next().value as [number, Buffers<K>]
          kept.delete(oldest)
          free(least)
        }
      } else kept.delete(rows)
      kept.set(rows, buffers)
      return buffers
    },
    close: () => {
      for (const buffers of kept.values()) free(buffers)
      kept.clear()
    }
  }
}

/** The host's window on a tensor of floats. */
export const floats = (tensor: DeviceTensor): Float32Array => {
  if (tensor.data instanceof Float32Array) return tensor.data
  throw new TypeError(
    `Cannot read the tensor as f32: it is ${tensor.type}${tensor.data === undefined ? ", resident" : ""}`
  )
}
