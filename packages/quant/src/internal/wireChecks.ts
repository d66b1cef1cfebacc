/**
 * Lengths that every wire codec checks.
 * @module
 */
import type { Codec } from "../wire.ts"

/** Throws `RangeError` if `x` encoded does not fit into `out`. */
export const checkOut = ({ name, bytes }: Codec, x: Float32Array, out: Uint8Array): void => {
  if (out.length < bytes(x.length)) {
    throw new RangeError(`${x.length} values in ${name} take ${bytes(x.length)} bytes: only ${out.length} are free`)
  }
}

/** Throws `RangeError` if `data` is not as long as `out` encoded. */
export const checkData = ({ name, bytes }: Codec, data: Uint8Array, out: Float32Array): void => {
  if (data.length !== bytes(out.length)) {
    throw new RangeError(`${out.length} values in ${name} take ${bytes(out.length)} bytes: got ${data.length}`)
  }
}
