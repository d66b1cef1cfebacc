/**
 * Slopes of linear position biases.
 * @see {@link https://arxiv.org/abs/2108.12409} ALiBi, section 3
 * @module
 */

/**
 * The slope of each of `heads` heads: a geometric sequence from 2^(-8/n) on, n the greatest power of two that is at most
 * `heads`; the heads beyond n take every other slope of the sequence for 2n.
 */
export const alibiSlopes = (heads: number): ReadonlyArray<number> => {
  const power = 2 ** Math.floor(Math.log2(heads))
  return Array.from({ length: heads }, (_, head) =>
    head < power ? 2 ** ((-8 * (head + 1)) / power) : 2 ** ((-4 * (2 * (head - power) + 1)) / power)
  )
}
