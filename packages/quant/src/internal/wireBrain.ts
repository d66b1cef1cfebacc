/**
 * Scales of the wire codecs with equal steps: the greatest magnitude of a block over the greatest code, as bf16.
 *
 * Rounding a scale to 8 significant bits moves the quotient of the greatest value by a 256th of itself at most, under half
 * a step for codes up to 127: it keeps the greatest code, so that decoding and encoding again finds the same scale. An
 * f16 scale would be a subnormal for blocks under 0.008, and end at blocks of 8 million.
 * @module
 */
const INFINITE = 0x7f800000
const LEAST_NORMAL = 2 ** -126
const GREATEST = (2 - 2 ** -23) * 2 ** 127

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** A positive f32 to the nearest bf16, as the upper half of its bit pattern. */
const brain = (value: number): number => {
  float[0] = value
  return (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) >>> 16
}

/** The value of a bf16 bit pattern. */
export const fromBrain = (half: number): number => {
  bits[0] = half << 16
  return float[0]!
}

/**
 * The scale of words[from, end), bit patterns of f32, as a bf16 bit pattern; 0 where no normal f32 is one. -1 if a value
 * is NaN or infinite or would come back infinite.
 */
export const scaleOf = (words: Uint32Array, from: number, end: number, greatestCode: number): number => {
  // a magnitude as a bit pattern orders NaN over infinity over numbers
  let greatest = 0
  for (let i = from; i < end; i++) {
    const magnitude = words[i]! & 0x7fffffff
    if (magnitude > greatest) greatest = magnitude
  }
  if (greatest >= INFINITE) return -1
  bits[0] = greatest
  const exact = float[0]! / greatestCode
  const half = exact < LEAST_NORMAL ? 0 : brain(exact)
  return fromBrain(half) * greatestCode > GREATEST ? -1 : half
}

/** Adding and subtracting it rounds a double under 2^51 to an integer, ties to even. */
export const ROUND: number = 1.5 * 2 ** 52
