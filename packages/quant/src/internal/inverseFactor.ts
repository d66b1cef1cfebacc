/**
 * The factor of an inverse that GPTQ works with.
 * @module
 */

/**
 * The upper triangular U with positive diagonal and UᵀU = H⁻¹, for a symmetric positive definite H: f64 (n, n).
 *
 * H = R Rᵀ with R upper triangular is factored from the last column on, and U = R⁻¹: the same U as the Cholesky factor
 * of the inverse, for half of the work. n³ / 3 multiplications, one fresh (n, n); the upper triangle of `h` is
 * overwritten with R.
 * @returns undefined if H is not positive definite
 */
export const inverseFactor = (h: Float64Array, n: number): Float64Array | undefined => {
  for (let j = n - 1; j >= 0; j--) {
    const rowJ = j * n
    const pivot = h[rowJ + j]! - dot(h, rowJ + j + 1, rowJ + j + 1, n - j - 1)
    if (!(pivot > 0 && pivot < Number.POSITIVE_INFINITY)) return undefined
    const diagonal = Math.sqrt(pivot)
    h[rowJ + j] = diagonal
    for (let i = 0; i < j; i++) {
      const rowI = i * n
      h[rowI + j] = (h[rowI + j]! - dot(h, rowI + j + 1, rowJ + j + 1, n - j - 1)) / diagonal
    }
  }
  const u = new Float64Array(n * n)
  for (let i = n - 1; i >= 0; i--) {
    const row = i * n
    const inverse = 1 / h[row + i]!
    for (let k = i + 1; k < n; k++) {
      const factor = -h[row + k]! * inverse
      const from = k * n
      for (let j = k; j < n; j++) u[row + j]! += factor * u[from + j]!
    }
    u[row + i] = inverse
  }
  return u
}

/** Four sums at once: one alone waits for each of its additions. */
const dot = (x: Float64Array, a: number, b: number, count: number): number => {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  const whole = count - (count & 3)
  for (let i = 0; i < whole; i += 4) {
    s0 += x[a + i]! * x[b + i]!
    s1 += x[a + i + 1]! * x[b + i + 1]!
    s2 += x[a + i + 2]! * x[b + i + 2]!
    s3 += x[a + i + 3]! * x[b + i + 3]!
  }
  for (let i = whole; i < count; i++) s0 += x[a + i]! * x[b + i]!
  return s0 + s1 + (s2 + s3)
}
