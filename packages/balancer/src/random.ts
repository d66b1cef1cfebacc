/**
 * Random numbers that repeat: everybody who plans from the same knowledge must get the same plan.
 * @module
 */

/**
 * Uniform numbers in [0, 1) from a seed.
 * @see M. E. O'Neill's and B. Jenkins's small mixers; this one is "mulberry32"
 */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
