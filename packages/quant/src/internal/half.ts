/**
 * Half-precision floats by bit pattern.
 * @module
 */
import { decodeFloats } from "@swarm/tensor"

/** f32 (65536): the value of each f16 bit pattern. */
export const HALF: Float32Array = decodeFloats(
  "f16",
  Uint16Array.from({ length: 65536 }, (_, pattern) => pattern)
)
