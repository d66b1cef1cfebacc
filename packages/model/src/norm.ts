/**
 * Norms over the last axis: their parameters, and the nodes that compute them, alone or behind an addition.
 * @module
 */
import type { Value } from "@swarm/onnx"
import type { Norm } from "./Architecture.ts"
import { readFloats, type Slice } from "./Checkpoint.ts"
import { CONTRIB, type Operators } from "./internal/operators.ts"
import type { Initializer } from "./Plan.ts"

/** The parameters of a norm. */
export interface NormLayer {
  readonly norm: Norm
  readonly weight: Initializer
  readonly bias: Initializer | undefined
}

/** A norm's parameters as f32. Reads nothing yet. */
export const makeNorm = (name: string, norm: Norm, weight: Slice, bias: Slice | undefined): NormLayer => ({
  norm,
  weight: vector(name, weight, norm.unitOffset ? 1 : 0),
  bias: bias && vector(`${name}.bias`, bias)
})

const vector = (name: string, source: Slice, offset = 0): Initializer => ({
  name,
  type: "f32",
  shape: [source.columns],
  bytes: source.columns * 4,
  read: () => {
    const values = readFloats(source)
    return offset === 0 ? values : values.map((value) => value + offset)
  }
})

/** In the order of their use. */
export const normInitializers = (layer: NormLayer | undefined): ReadonlyArray<Initializer> =>
  layer === undefined ? [] : layer.bias === undefined ? [layer.weight] : [layer.weight, layer.bias]

const inputsOf = ({ weight, bias }: NormLayer): ReadonlyArray<Value> =>
  bias === undefined ? [weight.name] : [weight.name, bias.name]

/** The normed x. */
export const applyNorm = ({ graph }: Operators, layer: NormLayer, x: Value): Value => {
  const { kind, epsilon } = layer.norm
  const shared = { axis: { i: -1 }, epsilon: { f: epsilon }, stash_type: { i: 1 } }
  const operator = kind === "rms" ? "SimplifiedLayerNormalization" : "LayerNormalization"
  return graph.node(operator, [x, ...inputsOf(layer)], { attributes: shared })
}

/** `stream` + `branch`, and the same normed, in one node. */
export const applyAddNorm = (
  { graph }: Operators,
  layer: NormLayer,
  stream: Value,
  branch: Value
): { readonly stream: Value; readonly normed: Value } => {
  const name = layer.weight.name
  const sum = `${name}/stream`
  const normed = `${name}/normed`
  const operator = layer.norm.kind === "rms" ? "SkipSimplifiedLayerNormalization" : "SkipLayerNormalization"
  graph.nodes(operator, [stream, branch, ...inputsOf(layer)], [normed, "", "", sum], {
    domain: CONTRIB,
    attributes: { epsilon: { f: layer.norm.epsilon } }
  })
  return { stream: sum, normed }
}
