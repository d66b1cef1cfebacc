/**
 * Rows of activations on the wire: every row is encoded by itself, so that a payload can be cut and joined between rows.
 * @module
 */
import { codec, type WireCodec } from "./wire.ts"

/** Rows that are encoded: in the codec that was asked for, or in `f32` where a value is beyond it. */
export interface EncodedRows {
  readonly codec: WireCodec
  readonly payload: Uint8Array
}

/** Bytes of one row of `hidden` values. */
export const rowBytes = (name: WireCodec, hidden: number): number => codec(name).bytes(hidden)

/**
 * x: f32 (rows, hidden) -> fresh bytes. A value that the codec cannot hold (beyond f16's 65504) makes the whole payload
 * `f32`: nothing is ever clamped. NaN and infinity go through as they are and are refused by the receiver.
 */
export const encodeRows = (name: WireCodec, x: Float32Array, hidden: number): EncodedRows => {
  const chosen = codec(name)
  const bytes = chosen.bytes(hidden)
  const rows = x.length / hidden
  const payload = new Uint8Array(rows * bytes)
  for (let row = 0; row < rows; row++) {
    const source = x.subarray(row * hidden, (row + 1) * hidden)
    if (!chosen.encode(source, payload.subarray(row * bytes, (row + 1) * bytes))) {
      return { codec: "f32", payload: new Uint8Array(x.buffer, x.byteOffset, x.byteLength).slice() }
    }
  }
  return { codec: name, payload }
}

/** Bytes -> fresh f32 (rows, hidden). Throws `RangeError` if the payload is not `rows` rows long. */
export const decodeRows = (name: WireCodec, payload: Uint8Array, rows: number, hidden: number): Float32Array => {
  const chosen = codec(name)
  const bytes = chosen.bytes(hidden)
  if (payload.length !== rows * bytes) {
    throw new RangeError(
      `Cannot decode ${rows} rows of ${hidden} ${name} values: ${payload.length} bytes instead of ${rows * bytes}`
    )
  }
  const x = new Float32Array(rows * hidden)
  for (let row = 0; row < rows; row++) {
    chosen.decode(payload.subarray(row * bytes, (row + 1) * bytes), x.subarray(row * hidden, (row + 1) * hidden))
  }
  return x
}
