/**
 * A mixture of experts that computes only what was chosen.
 *
 * Rows are sorted by expert and cut into one piece for each, whose length is known only when the graph runs: the layers
 * of an expert that nobody chose see no rows. An expert that one row chose gets a second one, so that no
 * matmul sees one row (docs/numerics.md).
 * @module
 */
import { dataType, type Value } from "@swarm/onnx"
import type { Experts } from "./Architecture.ts"
import type { Operators } from "./internal/operators.ts"
import { type Linear, type LinearOptions, makeLinear } from "./Linear.ts"
import { activated, inner, type Mlp, mlp, mlpLinears, type PartOf } from "./mlp.ts"

/** The parameters of a mixture. */
export interface ExpertLayers {
  readonly mixture: Experts
  /** Scores of the experts, and behind them that of the gate of the shared layer, if it has one. */
  readonly router: Linear
  readonly experts: ReadonlyArray<Mlp>
  readonly shared: Mlp | undefined
}

/** The router is held in f32: a choice is not a sum, and rounding may turn it. Reads nothing yet. */
export const makeExperts = (
  stem: string,
  mixture: Experts,
  part: PartOf,
  layersOf: (role: "expert" | "shared", size: number, expert?: number) => Mlp,
  options: LinearOptions
): ExpertLayers => {
  const scores = [part("router"), ...(mixture.shared?.gated ? [part("shared.router")] : [])]
  return {
    mixture,
    router: makeLinear(`${stem}.router`, scores, { ...options, weights: "f32", activations: "f32" }),
    experts: Array.from({ length: mixture.count }, (_, expert) => layersOf("expert", mixture.size, expert)),
    shared: mixture.shared && layersOf("shared", mixture.shared.size)
  }
}

/** The layers of a mixture. */
export const expertLinears = ({ router, experts: all, shared }: ExpertLayers): ReadonlyArray<Linear> => [
  router,
  ...all.flatMap(mlpLinears),
  ...(shared === undefined ? [] : mlpLinears(shared))
]

/** The mixture over x (1, tokens, hidden). */
export const experts = (operators: Operators, layers: ExpertLayers, x: Value): Value => {
  const { graph } = operators
  const { count, shared } = layers.mixture
  const scores = layers.router.apply(operators, x)
  const [forExperts = "", forShared] = shared?.gated ? operators.splitLast(scores, [count, 1]) : [scores]
  const mixed = mix(operators, layers, x, forExperts)
  if (layers.shared === undefined) return mixed
  const common = mlp(operators, layers.shared, x)
  const gated = forShared === undefined ? common : graph.node("Mul", [common, graph.node("Sigmoid", [forShared])])
  return graph.node("Add", [mixed, gated])
}

const mix = (operators: Operators, { mixture, router, experts: all }: ExpertLayers, x: Value, scores: Value): Value => {
  const { graph, ints, reshape } = operators
  const hidden = router.inFeatures
  const { perToken } = mixture
  const { weights, chosen } = choose(operators, mixture, scores)
  const flat = reshape(chosen, [-1])
  const order = arrange(operators, mixture.count, flat)
  // entry i belongs to token i / perToken; a row that only fills up may be any
  const tokens = graph.node("Shape", [x], { attributes: { start: { i: 1 }, end: { i: 2 } } })
  const rows = graph.node("Mod", [graph.node("Div", [order.entries, ints([perToken])]), tokens])
  const sorted = graph.node("Gather", [reshape(x, [-1, hidden]), rows])
  const pieces = cut(graph, sorted, order.sizes, all.length)
  const joined = join(graph, lastLayers(operators, all, order.sizes, pieces))
  const own = reshape(graph.node("Gather", [joined, order.places]), [-1, perToken, hidden])
  const weighted = graph.node("Mul", [own, reshape(weights, [-1, perToken, 1])])
  return reshape(graph.node("ReduceSum", [weighted, ints([1])], { attributes: { keepdims: { i: 0 } } }), [
    1,
    -1,
    hidden
  ])
}

/**
 * The results of all experts. Each has but its matrices as nodes of its own, since every node costs microseconds, with or
 * without rows: what lies between the matrices is computed for all of them at once.
 */
const lastLayers = (
  operators: Operators,
  all: ReadonlyArray<Mlp>,
  sizes: Value,
  pieces: ReadonlyArray<Value>
): ReadonlyArray<Value> => {
  const { graph, splitLast } = operators
  const [first] = all
  if (first === undefined) return []
  const results = all.map((layers, expert) => inner(operators, layers, pieces[expert] ?? ""))
  // where formats let only some experts fuse gate and up
  const alike = results.every(({ length }) => length === results[0]?.length)
  const halves = alike
    ? results
    : results.map((own) => (own.length === 1 ? splitLast(own[0] ?? "", [first.size, first.size]) : own))
  const columns = (halves[0] ?? []).map((_, i) =>
    join(
      graph,
      halves.map((own) => own[i] ?? "")
    )
  )
  const between = cut(graph, activated(operators, first, columns), sizes, all.length)
  return all.map(({ down }, expert) => down.apply(operators, between[expert] ?? ""))
}

/** The rows of x, in pieces of `sizes`. */
const cut = (graph: Operators["graph"], x: Value, sizes: Value, count: number): ReadonlyArray<Value> =>
  graph.nodes(
    "Split",
    [x, sizes],
    Array.from({ length: count }, (_, expert) => `${x}/of_${expert}`),
    { attributes: { axis: { i: 0 } } }
  )

const join = (graph: Operators["graph"], pieces: ReadonlyArray<Value>): Value =>
  graph.node("Concat", pieces, { attributes: { axis: { i: 0 } } })

/** Probabilities and numbers of the chosen experts, both (1, tokens, perToken), the likeliest first. */
const choose = ({ graph, ints }: Operators, { perToken, normalized }: Experts, scores: Value) => {
  const all = graph.node("Softmax", [scores], { attributes: { axis: { i: -1 } } })
  const names = [`${scores}/weights`, `${scores}/chosen`]
  const [weights = "", chosen = ""] = graph.nodes("TopK", [all, ints([perToken])], names)
  if (!normalized) return { weights, chosen }
  const sum = graph.node("ReduceSum", [weights, ints([-1])], { attributes: { keepdims: { i: 1 } } })
  return { weights: graph.node("Div", [weights, sum]), chosen }
}

/**
 * Sorts entries by their expert, `flat`: i64 (tokens * perToken). Gives
 * - `sizes`: i64 (count), rows of each expert: none, or at least two;
 * - `entries`: the entry of each row of the sorted ones, and beyond the last entry for rows that fill up;
 * - `places`: the row of each entry.
 */
const arrange = ({ graph, ints }: Operators, count: number, flat: Value) => {
  const numbers = ints(Array.from({ length: count }, (_, expert) => expert))
  const i64 = { attributes: { to: { i: dataType("i64") } } }
  const total = (x: Value, keep: 0 | 1) =>
    graph.node("ReduceSum", [x, ints([0])], { attributes: { keepdims: { i: keep } } })
  const matches = graph.node("Equal", [graph.node("Reshape", [flat, ints([-1, 1])]), numbers])
  const counts = total(graph.node("Cast", [matches], i64), 0)
  const single = graph.node("Equal", [counts, ints([1])])
  const sizes = graph.node("Add", [counts, graph.node("Cast", [single], i64)])
  // one more key for each expert: its own if it lacks a row, else one behind all others
  const fill = graph.node("Where", [single, numbers, ints([count])])
  const keys = graph.node("Concat", [flat, fill], { attributes: { axis: { i: 0 } } })
  const order = ascending(graph, keys)
  const entries = graph.node("Slice", [order, ints([0]), total(sizes, 1), ints([0])])
  const places = graph.node("Slice", [ascending(graph, order), ints([0]), graph.node("Shape", [flat]), ints([0])])
  return { sizes, entries, places }
}

/** Indices that sort x; equal values keep their order. */
const ascending = (graph: Operators["graph"], x: Value): Value => {
  const [, indices = ""] = graph.nodes("TopK", [x, graph.node("Shape", [x])], [`${x}/sorted`, `${x}/order`], {
    attributes: { axis: { i: 0 }, largest: { i: 0 }, sorted: { i: 1 } }
  })
  return indices
}
