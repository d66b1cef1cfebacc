/**
 * Maps between two layers: activations and gates.
 * @module
 */
import type { Floats } from "./product.ts"

/**
 * F: the first layers' outputs on this rank, each (rows, columns of the rank), to the second layer's input (rows,
 * produced). The parts may be overwritten, and one of them returned.
 */
export type Between<A extends Floats> = (parts: ReadonlyArray<A>, rows: number) => A

/** Activation functions, by the names of checkpoints. `gelu_tanh` approximates `gelu`. */
export type Activation = "identity" | "relu" | "silu" | "gelu" | "gelu_tanh"

/** erf by its series below 3, by its continued fraction above (Abramowitz & Stegun 7.1.6, 7.1.14); to 1e-14. */
const erf = (x: number): number => {
  const a = Math.abs(x)
  if (a > 6) return Math.sign(x)
  let value: number
  if (a < 3) {
    let [term, sum] = [a, a]
    for (let n = 1; term > 1e-17 * sum; n++) {
      term *= (2 * a * a) / (2 * n + 1)
      sum += term
    }
    value = (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum
  } else {
    let fraction = a
    for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction
    value = 1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction)
  }
  return Math.sign(x) * value
}

const functions: Readonly<Record<Activation, (x: number) => number>> = {
  identity: (x) => x,
  relu: (x) => Math.max(0, x),
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
}

const only = <A>(parts: ReadonlyArray<A>, at: number): A => {
  const part = parts[at]
  if (part === undefined) throw new RangeError(`Cannot find part ${at} of ${parts.length}`)
  return part
}

/** f(x W1), in place. */
export const activate =
  (name: Activation) =>
  <A extends Floats>(parts: ReadonlyArray<A>): A => {
    const x = only(parts, 0)
    const f = functions[name]
    for (let i = 0; i < x.length; i++) x[i] = f(x[i]!)
    return x
  }

/** f(x Wgate) * (x Wup), in place of the gate's outputs; the first layers are gate, then up. */
export const gate =
  (name: Activation) =>
  <A extends Floats>(parts: ReadonlyArray<A>): A => {
    const [x, up] = [only(parts, 0), only(parts, 1)]
    if (x.length !== up.length) throw new RangeError(`Cannot gate ${up.length} values by ${x.length}`)
    const f = functions[name]
    for (let i = 0; i < x.length; i++) x[i] = f(x[i]!) * up[i]!
    return x
  }
