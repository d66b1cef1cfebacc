/**
 * The plan of the head.
 * @module
 */
import { graph } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { assertSupported, vector } from "./Block.ts"
import { makeOperators } from "./internal/operators.ts"
import { declare, linearOptions, notesOf } from "./internal/planning.ts"
import { type LinearOptions, makeLinear } from "./Linear.ts"
import type { HeadPlan, PlanOptions } from "./Plan.ts"
import type { Weights } from "./Weights.ts"

/** The plan of the final norm and the output matrix. q4 becomes q8 here: logits suffer most from coarse weights. */
export const planHead = (architecture: Architecture, weights: Weights, options: PlanOptions = {}): HeadPlan => {
  assertSupported(architecture)
  const asked = linearOptions(options)
  const linear: LinearOptions = asked.weights === "q4" ? { ...asked, weights: "q8" } : asked
  const { hiddenSize, vocabSize, norm, logitScale = 1, logitSoftCap } = architecture
  const gain = vector("norm", weights.weight("norm"), norm.unitOffset)
  const matrix = makeLinear("head", [{ weight: weights.weight("head"), bias: weights.bias("head") }], linear, {
    rounding: "double"
  })
  const initializers = [gain, ...matrix.initializers]
  return {
    hiddenSize,
    vocabSize,
    leastRows: matrix.leastRows,
    initializers,
    matrices: matrix.matrices,
    notes: notesOf([matrix]),
    graph: (locate) => {
      const g = graph({ name: "head" })
      declare(g, initializers, locate)
      const operators = makeOperators(g, 2)
      const normed = operators.rmsNorm(g.input("x", "f32", ["rows", hiddenSize]), gain.name, norm.epsilon)
      let logits = matrix.apply(operators, normed)
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
