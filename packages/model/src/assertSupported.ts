/**
 * What no graph computes.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import { Unsupported } from "./ModelError.ts"

/** Throws `Unsupported` for combinations of features that these graphs do not compute. */
export const assertSupported = (a: Architecture): void => {
  const refuse = (feature: string, detail = "the graph builder has no form for it"): never => {
    throw new Unsupported({ feature, detail })
  }
  const { placement = "before" } = a.norm
  if (a.parallelResidual !== undefined && placement !== "before")
    refuse(`A parallel residual with norms "${placement}"`)
  if (!a.encoder) return
  if (a.attention.alibi !== undefined) refuse("An encoder with linear position biases")
  if (a.attention.kvHeads !== a.attention.heads) refuse("An encoder with fewer heads for keys than for queries")
  if (a.attention.softCap !== undefined) refuse("An encoder with a cap on its scores")
  if (a.layers.some(({ window }) => window !== undefined)) refuse("An encoder with windows")
}
