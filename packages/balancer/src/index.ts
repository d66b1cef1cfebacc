/**
 * Which blocks each server should hold: joining, rebalancing, optimising, forecasts.
 * @module
 */
export * from "./blocksThatFit.ts"
export * from "./chainSeconds.ts"
export * from "./Forecast.ts"
export * from "./improve.ts"
export * from "./joinBlocks.ts"
export * from "./makeRecheck.ts"
export * from "./moves.ts"
export * from "./Placement.ts"
export * from "./random.ts"
export * from "./rebalance.ts"
export * from "./rebalanceWhole.ts"
export * from "./regions.ts"
export * from "./wholeSpans.ts"
