/**
 * Numbers for tests.
 * @module
 */

/** Uniform numbers in [0, 1) by the generator of Park and Miller. */
export const seeded = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return (state - 1) / 2147483646
  }
}
