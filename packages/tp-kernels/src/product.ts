/**
 * The layer's definition as a kernel: slow, exact, for tests and for machines without one.
 * @module
 */
import type { BlockLinear } from "@swarm/quant"

/** Rows of numbers, in the precision that they are computed in. */
export type Floats = Float32Array | Float64Array

/**
 * x Wᵀ: x (rows, K) -> fresh (rows, N) of the same type. Float64Array: weights and sums in f64. Float32Array: each weight
 * is rounded to f32 and each step of the sum too, as a kernel that dequantizes does.
 *
 * Throws `RangeError` if `x` does not hold `rows` rows. O(rows x K x N), and a row of weights at a time.
 */
export const product = <A extends Floats>(linear: BlockLinear, x: A, rows: number): A => {
  const { bits, blockSize, inFeatures: K, outFeatures: N, packed, scales, zeroPoints, offsets } = linear
  if (x.length !== rows * K) throw new RangeError(`Cannot multiply ${x.length} values as ${rows} rows of ${K}`)
  const wide = x instanceof Float64Array
  const y = wide ? new Float64Array(rows * N) : new Float32Array(rows * N)
  const weights = wide ? new Float64Array(K) : new Float32Array(K)
  const blocks = Math.ceil(K / blockSize)
  const perByte = 8 / bits
  const mask = 2 ** bits - 1
  const zeroBytes = Math.ceil(blocks / perByte)
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const b = Math.floor(k / blockSize)
      const byte = packed[(((n * blocks + b) * blockSize + (k % blockSize)) / perByte) | 0]!
      const code = (byte >> ((k % perByte) * bits)) & mask
      const zeroByte = zeroPoints?.[n * zeroBytes + Math.floor(b / perByte)]
      const zero = zeroByte === undefined ? 2 ** (bits - 1) : (zeroByte >> ((b % perByte) * bits)) & mask
      weights[k] = scales[n * blocks + b]! * (code - zero) + (offsets?.[b * N + n] ?? 0)
    }
    for (let row = 0; row < rows; row++) {
      let sum = 0
      for (let k = 0; k < K; k++) {
        sum += x[row * K + k]! * weights[k]!
        if (!wide) sum = Math.fround(sum)
      }
      y[row * N + n] = sum
    }
  }
  return y as A
}
