import { assert, describe, it } from "@effect/vitest"
import { Digraph, DStarLite, dijkstra, EdgeList } from "@swarm/routing"
import { seeded } from "./support.ts"

/** Distances to `goal` from scratch. */
const fromScratch = (graph: Digraph, goal: number): Float64Array => {
  const edges = new EdgeList()
  for (let node = 0; node < graph.nodes; node++) {
    for (const edge of graph.outOf(node)) edges.add(node, graph.target(edge), graph.cost(edge))
  }
  return dijkstra(edges.backward(graph.nodes), goal)
}

/** Fails unless every node on some shortest path from `start` has its true distance. */
const checkPaths = (search: DStarLite, graph: Digraph, start: number, expected: Float64Array): number => {
  const seen = new Set([start])
  for (const node of seen) {
    assert.strictEqual(search.distance(node), expected[node])
    if (!Number.isFinite(expected[node])) continue
    for (const edge of graph.outOf(node)) {
      const next = graph.target(edge)
      const isBest = graph.cost(edge) + (expected[next] ?? 0) === expected[node]
      assert.strictEqual(graph.cost(edge) + search.distance(next) === search.distance(node), isBest)
      if (isBest) seen.add(next)
    }
  }
  return seen.size
}

describe("DStarLite", () => {
  it("equals Dijkstra's algorithm over 20,000 random changes of a graph, ties included", () => {
    const random = seeded(11)
    const below = (n: number): number => Math.floor(random() * n)
    const graph = new Digraph()
    for (let node = 0; node < 40; node++) graph.addNode()
    const search = new DStarLite(graph, 0, 39)
    const edges: Array<number> = []
    let finite = 0
    for (let change = 0; change < 20_000; change++) {
      const kind = below(10)
      const cost = below(12) === 0 ? Number.POSITIVE_INFINITY : 1 + below(8)
      if (kind === 0 && graph.nodes < 80) search.addNode()
      else if (kind <= 2 && edges.length < 240) {
        edges.push(search.addEdge(below(graph.nodes), below(graph.nodes), cost))
      } else if (kind === 3 && edges.length > 80) {
        for (const edge of edges.splice(below(edges.length), 1)) search.removeEdge(edge)
      } else if (kind === 4) search.moveStart(below(10) === 0 ? below(graph.nodes) : 0)
      else search.setCost(edges[below(edges.length)] ?? 0, cost)
      if (kind === 4) continue
      search.moveStart(0)
      // Several changes may come before the next question
      if (below(3) === 0) continue
      const total = search.settle()
      const expected = fromScratch(graph, 39)
      assert.strictEqual(total, expected[0])
      checkPaths(search, graph, 0, expected)
      if (Number.isFinite(total)) finite++
    }
    assert.isAbove(finite, 5000)
    assert.strictEqual(graph.edges, edges.length)
  })

  it("follows a start that moves over a grid whose obstacles change, with a heuristic", () => {
    const side = 12
    const random = seeded(5)
    const below = (n: number): number => Math.floor(random() * n)
    const graph = new Digraph()
    const entering: Array<Array<number>> = Array.from({ length: side * side }, () => [])
    for (let node = 0; node < side * side; node++) graph.addNode()
    const away = (a: number, b: number): number =>
      Math.abs((a % side) - (b % side)) + Math.abs(Math.floor(a / side) - Math.floor(b / side))
    for (let a = 0; a < side * side; a++) {
      for (let b = 0; b < side * side; b++) {
        if (away(a, b) === 1) entering[b]?.push(graph.addEdge(a, b, Number.POSITIVE_INFINITY))
      }
    }
    const goal = side * side - 1
    const search = new DStarLite(graph, 0, goal, away)
    let start = 0
    let steps = 0
    for (let change = 0; change < 6000; change++) {
      const cost = below(4) === 0 ? Number.POSITIVE_INFINITY : 1 + below(3)
      for (const edge of entering[below(side * side)] ?? []) search.setCost(edge, cost)
      if (below(2) === 0) continue
      const total = search.settle()
      const expected = fromScratch(graph, goal)
      assert.strictEqual(total, expected[start])
      checkPaths(search, graph, start, expected)
      const next = graph
        .outOf(start)
        .map((edge) => graph.target(edge))
        .find((node) =>
          graph
            .outOf(start)
            .some((edge) => graph.target(edge) === node && graph.cost(edge) + (expected[node] ?? 0) === total)
        )
      start = Number.isFinite(total) && next !== undefined && start !== goal ? next : below(side * side)
      if (start === next) steps++
      search.moveStart(start)
    }
    assert.isAbove(steps, 500)
  })
})
