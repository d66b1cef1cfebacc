/**
 * Reading expected tensors and comparing with them.
 * @module
 */
import type { openSafetensors } from "@swarm/tensor"

type File = ReturnType<typeof openSafetensors>

export const floats = (file: File, name: string): Float32Array => {
  const bytes = file.read(name)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

export const integers = (file: File, name: string): Array<number> => {
  const bytes = file.read(name)
  return Array.from(
    new BigInt64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)),
    Number
  )
}

/** Largest difference relative to the largest expected magnitude. */
export const worst = (got: ArrayLike<number>, expected: ArrayLike<number>): number => {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let scale = 0
  for (let i = 0; i < got.length; i++) {
    difference = Math.max(difference, Math.abs((got[i] ?? Number.NaN) - (expected[i] ?? 0)))
    scale = Math.max(scale, Math.abs(expected[i] ?? 0))
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY
  }
  return difference / scale
}

/** Index of the greatest value of a row; the lowest of equals. */
export const argmaxRow = (values: Float32Array, row: number, columns: number): number => {
  let best = 0
  for (let i = 1; i < columns; i++) if ((values[row * columns + i] ?? 0) > (values[row * columns + best] ?? 0)) best = i
  return best
}
