/**
 * Binary floating-point formats narrower than f32, described by four numbers.
 * @module
 */

/** A sign bit, `exponent` bits and `mantissa` bits, with subnormals. Everything else follows. */
export interface Minifloat {
  readonly exponent: number
  readonly mantissa: number
  /**
   * `ieee`: the highest exponent holds infinities and NaN. `finite`: it holds numbers, and only all ones is NaN
   * (the "fn" of e4m3fn, {@link https://arxiv.org/abs/2209.05433} section 3).
   */
  readonly specials: "ieee" | "finite"
}

export const f16: Minifloat = { exponent: 5, mantissa: 10, specials: "ieee" }
export const bf16: Minifloat = { exponent: 8, mantissa: 7, specials: "ieee" }
export const f8e4m3: Minifloat = { exponent: 4, mantissa: 3, specials: "finite" }
export const f8e5m2: Minifloat = { exponent: 5, mantissa: 2, specials: "ieee" }

const bias = (format: Minifloat): number => 2 ** (format.exponent - 1) - 1

/** The value of each code of `format`, by code: f32 (2 ** bits). */
export const decodeTable = (format: Minifloat): Float32Array => {
  const magnitudes = 2 ** (format.exponent + format.mantissa)
  const fractions = 2 ** format.mantissa
  const highest = 2 ** format.exponent - 1
  const table = new Float32Array(2 * magnitudes)
  for (let code = 0; code < magnitudes; code++) {
    const exponent = Math.floor(code / fractions)
    const fraction = (code % fractions) / fractions
    let value: number
    if (format.specials === "ieee" && exponent === highest) value = fraction === 0 ? Infinity : NaN
    else if (format.specials === "finite" && code === magnitudes - 1) value = NaN
    else if (exponent === 0) value = fraction * 2 ** (1 - bias(format))
    else value = (1 + fraction) * 2 ** (exponent - bias(format))
    table[code] = value
    table[code + magnitudes] = -value
  }
  return table
}

/**
 * An encoder from f32 with round to nearest, ties to even. Beyond the greatest value lies infinity; a
 * format without infinity saturates. NaN becomes a quiet NaN of the same sign. Subnormals are rounded by one f32 addition whose unit in
 * the last place is the format's smallest step.
 */
export const makeEncoder = (format: Minifloat) => {
  const shift = 23 - format.mantissa
  const signBit = format.exponent + format.mantissa
  const half = 2 ** (shift - 1) - 1
  const smallestNormal = (127 + 1 - bias(format)) * 2 ** 23
  const rebias = (127 - bias(format)) * 2 ** 23
  const magic = 2 ** (1 - bias(format) + shift)
  const magnitudes = 2 ** (format.exponent + format.mantissa)
  const overflow = format.specials === "ieee" ? magnitudes - 2 ** format.mantissa : magnitudes - 2
  const nan = format.specials === "ieee" ? overflow + 2 ** (format.mantissa - 1) : magnitudes - 1
  const float = new Float32Array(1)
  const bits = new Uint32Array(float.buffer)
  bits[0] = 0
  float[0] = magic
  const magicBits = bits[0]!

  return (source: Float32Array, out: Uint16Array | Uint8Array): void => {
    for (let i = 0; i < source.length; i++) {
      float[0] = source[i]!
      const word = bits[0]!
      const magnitude = word & 0x7fffffff
      let code: number
      if (magnitude > 0x7f800000) code = nan
      else if (magnitude < smallestNormal) {
        bits[0] = magnitude
        float[0] = float[0]! + magic
        code = bits[0]! - magicBits
      } else {
        // a carry out of the mantissa raises the exponent, as it must
        code = (magnitude - rebias + half + ((magnitude >>> shift) & 1)) >>> shift
        if (code > overflow) code = overflow
      }
      out[i] = code | ((word >>> 31) << signBit)
    }
  }
}
