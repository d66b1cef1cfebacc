/**
 * Swarms in virtual time, over the real routing and balancing.
 * @module
 */
export * from "./parseScenario.ts"
export * from "./planSwarm.ts"
export type * from "./Scenario.ts"
export * from "./simulate.ts"
