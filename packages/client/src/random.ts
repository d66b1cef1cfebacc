/**
 * Reproducible random numbers.
 * @module
 */

/**
 * Uniform numbers in [0, 1) with 53 bits, two outputs of xoshiro128** each. The state is filled from `seed` by
 * steps of the golden ratio through MurmurHash3's finalizer; without a seed it is chance. Not for secrets.
 * @param seed integer from 0 to 2^32 - 1
 * @see https://prng.di.unimi.it/xoshiro128starstar.c
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp `fmix32`
 */
export const makeRandom = (seed?: number): (() => number) => {
  const state = new Uint32Array(4)
  if (seed === undefined) crypto.getRandomValues(state)
  else {
    let counter = seed >>> 0
    for (let i = 0; i < 4; i++) {
      counter = (counter + 0x9e3779b9) >>> 0
      let z = counter
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      state[i] = z ^ (z >>> 16)
    }
  }
  let [a = 0, b = 0, c = 0, d = 0] = state
  const next = (): number => {
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9)
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result >>> 0
  }
  return () => (next() >>> 5) * 2 ** -27 + (next() >>> 6) * 2 ** -53
}
