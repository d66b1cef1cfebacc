/**
 * What the matrices of a graph are multiplied with, as further outputs.
 * @module
 */
import type { GraphBuilder, Value } from "@swarm/onnx"
import type { Initializer } from "../Plan.ts"

/** A builder that remembers, and `expose`: adds the outputs; see `SpanPlan.graph`. */
export const observing = (
  g: GraphBuilder,
  initializers: ReadonlyArray<Initializer>
): { readonly builder: GraphBuilder; readonly expose: () => void } => {
  const columns = new Map(
    initializers.flatMap(({ name, shape }) => (shape.length === 2 ? [[name, shape[1] ?? 0]] : []))
  )
  const inputs = new Map<string, Value>()
  return {
    builder: {
      ...g,
      node: (operator, operands, options) => {
        const [x, weight] = operands
        if (x !== undefined && weight !== undefined && operator.endsWith("MatMul") && columns.has(weight))
          inputs.set(weight, x)
        return g.node(operator, operands, options)
      }
    },
    expose: () => {
      for (const [weight, x] of inputs) {
        g.output(g.node("Identity", [x], { name: `${weight}/x` }), "f32", [1, "tokens", columns.get(weight) ?? 0])
      }
    }
  }
}
