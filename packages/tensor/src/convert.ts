/**
 * Conversion of elements between f32 and every other type.
 * @module
 */
import { type ArrayByType, type ElementType, elementBytes, makeArray, viewArray } from "./Element.ts"
import * as minifloat from "./internal/minifloat.ts"

/** Element types that hold a floating-point number in 8 or 16 bits. */
export type NarrowFloat = "f16" | "bf16" | "f8e4m3" | "f8e5m2"

const formats: Readonly<Record<NarrowFloat, minifloat.Minifloat>> = {
  f16: minifloat.f16,
  bf16: minifloat.bf16,
  f8e4m3: minifloat.f8e4m3,
  f8e5m2: minifloat.f8e5m2
}

const isNarrow = (type: ElementType): type is NarrowFloat => type in formats

/** Tables and encoders are made at first use: those of the 16-bit formats take 256 KB. */
const once = <A>(make: (format: minifloat.Minifloat) => A): ((type: NarrowFloat) => A) => {
  const made = new Map<NarrowFloat, A>()
  return (type) => {
    let value = made.get(type)
    if (value === undefined) {
      value = make(formats[type])
      made.set(type, value)
    }
    return value
  }
}

const tableOf = once(minifloat.decodeTable)
const encoderOf = once(minifloat.makeEncoder)

const checkOut = (needed: number, given: number): void => {
  if (given !== needed) throw new RangeError(`Cannot convert ${needed} elements into an array of ${given}`)
}

/**
 * Widens codes of a narrow float to f32, exactly. O(n), no allocation if `out` is given.
 *
 * @param codes bit patterns of `type`, borrowed
 * @param out as long as `codes`; it is returned
 * @default {out} a fresh array
 */
export const decodeFloats = (
  type: NarrowFloat,
  codes: Uint16Array | Uint8Array,
  out: Float32Array = new Float32Array(codes.length)
): Float32Array => {
  checkOut(codes.length, out.length)
  if (type === "bf16") {
    // the upper half of an f32
    const words = new Uint32Array(out.buffer, out.byteOffset, out.length)
    for (let i = 0; i < codes.length; i++) words[i] = codes[i]! << 16
    return out
  }
  const table = tableOf(type)
  for (let i = 0; i < codes.length; i++) out[i] = table[codes[i]!]!
  return out
}

/**
 * Narrows f32 to the nearest value of `type`, ties to even; beyond its range to infinity, or in `f8e4m3`, which has none,
 * to its greatest value. O(n), no allocation if `out` is given.
 *
 * @param values borrowed
 * @param out as long as `values`; it is returned
 * @default {out} a fresh array
 */
export const encodeFloats = <T extends NarrowFloat>(
  type: T,
  values: Float32Array,
  out: ArrayByType[T] = makeArray(type, values.length)
): ArrayByType[T] => {
  checkOut(values.length, out.length)
  encoderOf(type)(values, out)
  return out
}

/**
 * The elements of a tensor as fresh f32, rounded to nearest where f32 cannot hold them (f64 and integers over 2^24).
 *
 * Throws `RangeError` if `bytes` is not a whole number of elements.
 *
 * @param bytes little-endian elements of `type`, borrowed, any alignment
 */
export const toFloat32 = (type: ElementType, bytes: ArrayBufferView): Float32Array => {
  const source = viewArray(type, bytes)
  const out = new Float32Array(bytes.byteLength / elementBytes(type))
  if (source instanceof BigInt64Array || source instanceof BigUint64Array) {
    for (let i = 0; i < out.length; i++) out[i] = Number(source[i])
  } else if (isNarrow(type) && (source instanceof Uint16Array || source instanceof Uint8Array)) {
    decodeFloats(type, source, out)
  } else {
    out.set(source)
  }
  return out
}
