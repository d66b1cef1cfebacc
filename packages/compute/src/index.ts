/**
 * A model's plans joined with the engine: spans of blocks and heads that run.
 * @module
 */
export * from "./ComputeError.ts"
export { type GroupShape, predictRun } from "./groupTraffic.ts"
export * from "./hostRank.ts"
export * from "./loadHead.ts"
export * from "./loadParallelSpan.ts"
export { loadSpan, type SpanOptions } from "./loadSpan.ts"
export { type ProbeResult, probe, probeRows } from "./probe.ts"
export * from "./quantize/quantizeModel.ts"
export * from "./Span.ts"
export { cacheFolder } from "./weights.ts"
