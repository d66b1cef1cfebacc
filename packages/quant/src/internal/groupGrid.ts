/**
 * The grid that the weights of a group are rounded to: a scale and a zero point, as GPTQ's quantizer chooses them.
 * @module
 */
/** Which grids there are to choose from. */
export interface GridOptions {
  readonly bits: 2 | 3 | 4 | 8
  /** One zero point in the middle for all groups; else the least and greatest weight are ends of the grid. */
  readonly symmetric: boolean
  /** Scales are values of f16, as checkpoints store them; else f64. */
  readonly halfScales: boolean
}

const LEAST_HALF = 2 ** -24
/** Adding and subtracting it rounds a double under 2^51 to an integer, ties to even. */
const ROUND = 1.5 * 2 ** 52

/** A value to the nearest integer, ties to even. */
export const roundEven = (value: number): number => value + ROUND - ROUND

/** A positive value to the nearest f16: 11 significant bits, a multiple of 2^-24. */
const toHalf = (value: number): number => {
  if (value < 2 ** -14) return roundEven(value * 2 ** 24) * 2 ** -24
  // Veltkamp's splitting: the upper 53 - 42 bits, rounded
  const product = value * (2 ** 42 + 1)
  const upper = product - (product - value)
  return upper > 65504 ? Number.POSITIVE_INFINITY : upper
}

/** The nearest code of a weight, 0 .. 2^bits - 1. */
export const codeOf = (weight: number, scale: number, zero: number, top: number): number =>
  Math.max(0, Math.min(top, roundEven(weight / scale) + zero))

/**
 * Chooses the grid of each output feature over rows [from, to) of finite w: f64 (K, N), and writes it to row `row` of `scales` and `zeros`,
 * (G, N). A group of zeros gets the scale 1.
 * @returns the first output feature whose scale is beyond f16, or -1
 * @see {@link https://arxiv.org/abs/2210.17323} GPTQ, section 3; the asymmetric grid is that of its published code
 */
export const chooseGrid = (
  w: Float64Array,
  outFeatures: number,
  from: number,
  to: number,
  { bits, symmetric, halfScales }: GridOptions,
  row: number,
  scales: Float64Array,
  zeros: Uint8Array
): number => {
  const top = 2 ** bits - 1
  for (let n = 0; n < outFeatures; n++) {
    let low = 0
    let high = 0
    for (let k = from; k < to; k++) {
      const weight = w[k * outFeatures + n]!
      if (weight < low) low = weight
      if (weight > high) high = weight
    }
    const exact = symmetric ? (2 * Math.max(-low, high)) / top : (high - low) / top
    const scale = exact === 0 ? 1 : halfScales ? Math.max(toHalf(exact), LEAST_HALF) : exact
    if (!Number.isFinite(scale)) return n
    const at = row * outFeatures + n
    scales[at] = scale
    zeros[at] = symmetric ? (top + 1) / 2 : Math.max(0, Math.min(top, roundEven(-low / scale)))
  }
  return -1
}
