/**
 * Medians and quantiles of a few measurements.
 * @module
 */

/** The value below which the share `q` of `values` lies, interpolated; NaN of none. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = q * (sorted.length - 1)
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/**
 * `ours[i] / theirs[i]`: both of one round, so measured within the same minute. A machine that slows down for a while
 * slows both, where medians of each side could come from different moments.
 */
export const ratios = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): Array<number> =>
  ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
