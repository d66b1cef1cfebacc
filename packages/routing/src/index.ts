/**
 * Min-latency chains of servers over a swarm graph.
 * @module
 */
export * from "./affinity.ts"
export * from "./bans.ts"
export * from "./Costs.ts"
export * from "./candidates.ts"
export * from "./coverage.ts"
export * from "./Digraph.ts"
export * from "./DStarLite.ts"
export * from "./demotions.ts"
export * from "./dijkstra.ts"
export * from "./graph.ts"
export * from "./hedging.ts"
export * from "./LiveGraph.ts"
export * from "./layer.ts"
export * from "./links.ts"
export * from "./pings.ts"
export * from "./planRoute.ts"
export * from "./RoutePlanner.ts"
export * from "./Router.ts"
export * from "./SpanTable.ts"
export * from "./weights.ts"
