/**
 * The plan of the head.
 * @module
 */
import { graph } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { assertSupported } from "./assertSupported.ts"
import { makeOperators } from "./internal/operators.ts"
import { declare, linearOptions, notesOf } from "./internal/planning.ts"
import { type LinearOptions, makeLinear } from "./Linear.ts"
import { activate } from "./mlp.ts"
import { applyNorm, makeNorm, normInitializers } from "./norm.ts"
import type { HeadPlan, PlanOptions } from "./Plan.ts"
import { hasFinalNorm } from "./roles.ts"
import type { Weights } from "./Weights.ts"

/** The plan of what follows the blocks: final norm and output matrix. q4 becomes q8 here: logits suffer most from coarse weights. */
export const planHead = (architecture: Architecture, weights: Weights, options: PlanOptions = {}): HeadPlan => {
  assertSupported(architecture)
  const asked = linearOptions(options)
  const linear: LinearOptions = asked.weights === "q4" ? { ...asked, weights: "q8" } : asked
  const { hiddenSize, vocabSize, logitScale = 1, logitSoftCap, headTransform } = architecture
  const part = (role: "head" | "head.transform") => ({ weight: weights.weight(role), bias: weights.bias(role) })
  const transform =
    headTransform && makeLinear("head.transform", [part("head.transform")], linear, { rounding: "double" })
  const norm = hasFinalNorm(architecture)
    ? makeNorm("norm", architecture.norm, weights.weight("norm"), weights.bias("norm"))
    : undefined
  const matrix = makeLinear("head", [part("head")], linear, { rounding: "double" })
  const layers = transform === undefined ? [matrix] : [transform, matrix]
  const initializers = [...(transform?.initializers ?? []), ...normInitializers(norm), ...matrix.initializers]
  return {
    hiddenSize,
    vocabSize,
    leastRows: layers.some(({ leastRows }) => leastRows === 2) ? 2 : 1,
    initializers,
    matrices: layers.flatMap(({ matrices }) => matrices),
    notes: notesOf(layers),
    graph: (locate) => {
      const g = graph({ name: "head" })
      declare(g, initializers, locate)
      const operators = makeOperators(g, 2)
      let x = g.input("x", "f32", ["rows", hiddenSize])
      if (transform !== undefined && headTransform !== undefined) {
        x = activate(operators, headTransform, transform.apply(operators, x))
      }
      if (norm !== undefined) x = applyNorm(operators, norm, x)
      let logits = matrix.apply(operators, x)
      if (logitScale !== 1) logits = g.node("Mul", [logits, operators.scalar(logitScale)])
      if (logitSoftCap !== undefined) {
        const bounded = g.node("Tanh", [g.node("Div", [logits, operators.scalar(logitSoftCap)])])
        logits = g.node("Mul", [bounded, operators.scalar(logitSoftCap)])
      }
      g.output(g.node("Identity", [logits], { name: "logits" }), "f32", ["rows", vocabSize])
      return g.bytes()
    }
  }
}
