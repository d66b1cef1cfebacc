/**
 * Codecs for activations on the wire.
 * @module
 */
import { bf16, f16, f32 } from "./internal/wireFloats.ts"
import { int8 } from "./internal/wireInt8.ts"

/**
 * Codecs by name, n values:
 *
 * | name | bytes | error of a value x |
 * | --- | --- | --- |
 * | `f32` | 4n | none: every bit pattern goes through, also NaN |
 * | `f16` | 2n | 2^-11 abs(x), at least 2^-25; refuses abs(x) >= 65520 |
 * | `bf16` | 2n | 2^-8 abs(x); refuses what rounds to infinity |
 * | `int8` | n + 2 ceil(n / 64) | 1/253 of the greatest magnitude among its 64 neighbours, at least 1.5e-36 |
 *
 * Those that round do so to nearest, ties to even. Encoding what was decoded gives the same bytes, so a value that is
 * passed on from peer to peer loses precision once. (`int8` loses the sign of zero.)
 */
export type WireCodec = "f32" | "f16" | "bf16" | "int8"

/** A codec for arrays of f32. Hosts are little-endian. */
export interface Codec {
  readonly name: WireCodec
  /** Bytes of `values` f32 values when encoded. */
  readonly bytes: (values: number) => number
  /**
   * x: f32 (values) -> bytes into `out` (at least `bytes(values)` long, at any byte offset); both are borrowed.
   *
   * Returns false, leaving `out` undefined, if a value is not representable (NaN or infinite, or beyond the range of
   * f16): the caller then uses another codec; `f32` never refuses. Throws `RangeError` if `out` is too short. O(values),
   * copies nothing.
   */
  readonly encode: (x: Float32Array, out: Uint8Array) => boolean
  /**
   * Bytes at any byte offset -> f32 into `out`; both are borrowed. Throws `RangeError` if the length does not fit `out`.
   * Any bytes decode to something, so what a stranger sent can hold NaN and infinities. O(values), copies nothing.
   */
  readonly decode: (data: Uint8Array, out: Float32Array) => void
}

const CODECS: Readonly<Record<WireCodec, Codec>> = { f32, f16, bf16, int8 }

/** Names of all codecs, the exact one first. */
export const wireCodecs: ReadonlyArray<WireCodec> = Object.values(CODECS).map(({ name }) => name)

/** The codec of a name. Throws `RangeError` for an unknown one. */
export const codec = (name: WireCodec): Codec => {
  if (!Object.hasOwn(CODECS, name)) throw new RangeError(`Unknown wire codec "${name}"`)
  return CODECS[name]
}
