/**
 * Input and output tensors by number of rows, kept for reuse.
 * @module
 */
import type { DeviceTensor, Service as Engine } from "@swarm/engine"

/** A pair of tensors for runs of `rows` rows. */
export interface RowBuffers {
  readonly input: DeviceTensor
  readonly output: DeviceTensor
}

/** Row counts kept; beyond them the least recently used pair is freed. */
const KEPT = 24

/**
 * @param shapes give the shape of the input and of the output for a number of rows
 */
export const rowBuffers = (
  engine: Engine,
  shapes: {
    readonly input: (rows: number) => ReadonlyArray<number>
    readonly output: (rows: number) => ReadonlyArray<number>
  }
) => {
  const kept = new Map<number, RowBuffers>()
  const free = (buffers: RowBuffers) => {
    buffers.input.free()
    buffers.output.free()
  }
  return {
    /** The pair for `rows`. Valid until `KEPT` other counts have been asked for. */
    get: (rows: number): RowBuffers => {
      let buffers = kept.get(rows)
      if (buffers === undefined) {
        buffers = { input: engine.tensor("f32", shapes.input(rows)), output: engine.tensor("f32", shapes.output(rows)) }
        if (kept.size >= KEPT) {
          const [oldest, pair] = kept.entries().next().value as [number, RowBuffers]
          kept.delete(oldest)
          free(pair)
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
