/**
 * The feed-forward branch of a block: one layer for all tokens, or experts of which each token takes a few.
 * @module
 */
import type { Value } from "@swarm/onnx"
import type { Architecture } from "./Architecture.ts"
import { type ExpertLayers, expertLinears, experts, makeExperts } from "./experts.ts"
import type { Operators } from "./internal/operators.ts"
import type { Linear, LinearOptions } from "./Linear.ts"
import { type Mlp, makeMlp, mlp, mlpLinears, type PartOf } from "./mlp.ts"

/** The parameters of the branch. */
export type FeedForwardLayers = ({ readonly kind: "mlp" } & Mlp) | ({ readonly kind: "experts" } & ExpertLayers)

/**
 * The share of blocks, the last ones, whose `down` keeps what the rounding of its inputs loses: a few features there are
 * far greater than the others. In SmolLM2, where these are two of thirty, two more of 613 first choices are float's.
 */
const CAREFUL = 1 / 16

/** The parameters of block `index`. Reads nothing yet. */
export const makeFeedForward = (
  { feedForward: shape, layers, blocks }: Architecture,
  stem: string,
  index: number,
  part: PartOf,
  options: LinearOptions
): FeedForwardLayers => {
  const make = (role: "mlp" | "expert" | "shared", size: number, expert?: number): Mlp => {
    const name = `${stem}.${role}${expert === undefined ? "" : `_${expert}`}`
    const careful = role === "mlp" && index >= blocks - Math.ceil(CAREFUL * blocks)
    return makeMlp(shape, name, role, size, options, careful ? "double" : "plain", (each) => part(each, expert))
  }
  if (shape.experts === undefined || layers[index]?.dense) return { kind: "mlp", ...make("mlp", shape.size) }
  return { kind: "experts", ...makeExperts(stem, shape.experts, part, make, options) }
}

/** The layers of the branch, in the order of their use. */
export const feedForwardLinears = (layers: FeedForwardLayers): ReadonlyArray<Linear> =>
  layers.kind === "mlp" ? mlpLinears(layers) : expertLinears(layers)

/** The branch over x (1, tokens, hidden). */
export const feedForward = (operators: Operators, layers: FeedForwardLayers, x: Value): Value =>
  layers.kind === "mlp" ? mlp(operators, layers, x) : experts(operators, layers, x)
