/**
 * Codecs for activations on the wire.
 * @module
 */
import { dynamic8, makeDynamic } from "./internal/wireDynamic.ts"
import { bf16, f16, f32 } from "./internal/wireFloats.ts"
import { int4 } from "./internal/wireInt4.ts"
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
 * | `dynamic8` | n + 4 ceil(n / 64) | 0.0071 of the greatest magnitude m among its 64 neighbours; 0.0015 m if abs(x) < 0.1 m, at least 8e-31 |
 * | `int4` | ceil(n / 2) + 2 ceil(n / 32) | 1/13.9 of the greatest magnitude among its 32 neighbours, at least 8.3e-38 |
 *
 * Those that round do so to nearest, ties to even (in `dynamic8` to the lower). Encoding what was decoded gives the same
 * bytes, so a value that is passed on from peer to peer loses precision once. (`int8` and `int4` lose the sign of zero.) `dynamic8` is for activations with outliers: beside a value 30 times the others it
 * loses 4 dB less than `int8`, without one 4 dB more.
 */
export type WireCodec = "f32" | "f16" | "bf16" | "int8" | "dynamic8" | "int4"

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
   * allocates nothing but a view.
   */
  readonly encode: (x: Float32Array, out: Uint8Array) => boolean
  /**
   * Bytes at any byte offset -> f32 into `out`; both are borrowed. Throws `RangeError` if the length does not fit `out`.
   * Any bytes decode to something, so what a stranger sent can hold NaN and infinities. O(values), allocates
   * nothing but a view.
   */
  readonly decode: (data: Uint8Array, out: Float32Array) => void
}

const CODECS: Readonly<Record<WireCodec, Codec>> = { f32, f16, bf16, int8, dynamic8, int4 }

/** Names of all codecs, the exact one first. */
export const wireCodecs: ReadonlyArray<WireCodec> = Object.values(CODECS).map(({ name }) => name)

/** The codec of a name. Throws `RangeError` for an unknown one. */
export const codec = (name: WireCodec): Codec => {
  if (!Object.hasOwn(CODECS, name)) throw new RangeError(`Unknown wire codec "${name}"`)
  return CODECS[name]
}

/** `dynamic8` with another block: a power of two from 64 to 4096, else `RangeError`. Both ends have to agree on it. */
export const dynamicCodec = (block: number): Codec => makeDynamic(block)
