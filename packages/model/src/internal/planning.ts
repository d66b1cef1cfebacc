/**
 * What the plans of spans and of the head have in common.
 * @module
 */
import type { ExternalData, GraphBuilder } from "@swarm/onnx"
import type { LinearOptions } from "../Linear.ts"
import type { Initializer, PlannedMatrix, PlanOptions } from "../Plan.ts"

/** Defaults of `PlanOptions`. Throws `RangeError` for a group that the kernels do not take. */
export const linearOptions = ({ weights = "as-is", group = 32, activations = "int8" }: PlanOptions): LinearOptions => {
  if (![32, 64, 128].includes(group)) throw new RangeError(`Cannot quantize in groups of ${group}: take 32, 64 or 128`)
  return { weights, group, activations }
}

/** Declares initializers, each where `locate` says that it lies. */
export const declare = (
  g: GraphBuilder,
  initializers: ReadonlyArray<Initializer>,
  locate: (name: string) => ExternalData
) => {
  for (const { name, type, shape } of initializers) g.external(name, type, shape, locate(name))
}

/** Each note once, with the number of matrices that it is about. */
export const notesOf = (
  layers: ReadonlyArray<{ readonly matrices: ReadonlyArray<PlannedMatrix> }>
): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { note } of layers.flatMap(({ matrices }) => matrices)) {
    if (note !== undefined) counts.set(note, (counts.get(note) ?? 0) + 1)
  }
  return [...counts].map(([note, count]) => (count === 1 ? note : `${note} (${count} matrices)`))
}
