/**
 * Random numbers that can be repeated: xorshift32 (Marsaglia, Xorshift RNGs, 2003), good enough to place faults.
 * @module
 */

/** Numbers of [0, 1) from an integer seed. */
export const makeRandom = (seed: number): (() => number) => {
  // spread neighbouring seeds, and avoid the one state that never leaves itself
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
