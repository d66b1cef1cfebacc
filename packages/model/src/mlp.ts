/**
 * One feed-forward layer: its parameters, and the nodes that compute it.
 * @module
 */
import type { Value } from "@swarm/onnx"
import type { Activation, FeedForward } from "./Architecture.ts"
import type { BlockRole } from "./Family.ts"
import { CONTRIB, type Operators } from "./internal/operators.ts"
import {
  canFuse,
  inputOrder,
  type Linear,
  type LinearOptions,
  type LinearPart,
  makeLinear,
  type Rounding
} from "./Linear.ts"

/** down(act(gate x) * up x), or down(act(up x)). */
export interface Mlp {
  readonly activation: Activation
  readonly size: number
  /** One fused layer, or gate and up; up alone if there is no gate. */
  readonly inner: ReadonlyArray<Linear>
  readonly gated: boolean
  readonly down: Linear
}

/** Where a role's matrix and bias come from. */
export type PartOf = (role: BlockRole, expert?: number) => LinearPart

/** The parameters of a feed-forward layer of width `size`. `rounding` is that of the last matrix's inputs. Reads nothing yet. */
export const makeMlp = (
  { kind, activation }: FeedForward,
  name: string,
  role: "mlp" | "expert" | "shared",
  size: number,
  options: LinearOptions,
  rounding: Rounding,
  part: (role: BlockRole) => LinearPart
): Mlp => {
  const gated = kind === "gated"
  const roles = gated ? (["gate", "up"] as const) : (["up"] as const)
  const parts = roles.map((each) => part(`${role}.${each}`))
  const last = part(`${role}.down`)
  const extras = { outputs: inputOrder(last, options) }
  const inner =
    gated && canFuse(parts, options)
      ? [makeLinear(`${name}.gateUp`, parts, options, extras)]
      : roles.map((each, i) => makeLinear(`${name}.${each}`, parts.slice(i, i + 1), options, extras))
  return {
    activation,
    size,
    inner,
    gated,
    down: makeLinear(`${name}.down`, [last], options, { ordered: extras.outputs !== undefined, rounding })
  }
}

/** The layers of one feed-forward. */
export const mlpLinears = ({ inner, down }: Mlp): ReadonlyArray<Linear> => [...inner, down]

/** One feed-forward over x (..., hidden). */
export const mlp = (operators: Operators, layers: Mlp, x: Value): Value =>
  layers.down.apply(operators, activated(operators, layers, inner(operators, layers, x)))

/** What the inner layers make of x: gate and up as one value or as two, or up alone. */
export const inner = (operators: Operators, layers: Mlp, x: Value): ReadonlyArray<Value> =>
  layers.inner.map((layer) => layer.apply(operators, x))

/** What the last layer reads, of the results of the inner ones. */
export const activated = (
  operators: Operators,
  { gated, size, activation }: Mlp,
  results: ReadonlyArray<Value>
): Value => {
  const { graph } = operators
  if (!gated) return activate(operators, activation, results[0] ?? "")
  const [gate = "", up = ""] = results.length === 1 ? operators.splitLast(results[0] ?? "", [size, size]) : results
  return graph.node("Mul", [activate(operators, activation, gate), up])
}

/** act(x), element by element. */
export const activate = ({ graph }: Operators, activation: Activation, x: Value): Value => {
  switch (activation) {
    case "silu":
      return graph.node("QuickGelu", [x], { domain: CONTRIB, attributes: { alpha: { f: 1 } } })
    case "gelu":
      return graph.node("Gelu", [x])
    case "gelu-tanh":
      return graph.node("Gelu", [x], { attributes: { approximate: { s: "tanh" } } })
    case "relu":
      return graph.node("Relu", [x])
  }
}
