/**
 * Sessions over a swarm: chains that survive the loss of servers, generation, sampling.
 * @module
 */
export type { Chain } from "./Chain.ts"
export * from "./ClientError.ts"
export * from "./Event.ts"
export * from "./Pipeline.ts"
export * from "./repairPlan.ts"
export * from "./Session.ts"
export * from "./Swarm.ts"
export * from "./sampling.ts"
export * from "./stopping.ts"
