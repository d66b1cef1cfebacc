/**
 * A peer that serves a span of blocks: sessions, scheduler, output along the chain, life cycle.
 * @module
 */
export { measureRates, type Rates } from "./measure.ts"
export type { ServedModel, ServerOptions } from "./Options.ts"
export { makeScheduler, type Scheduler, type SchedulerOptions } from "./Scheduler.ts"
export { type Server, serve } from "./Server.ts"
