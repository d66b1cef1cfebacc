/**
 * For tests of programs that use the swarm: a swarm in memory, the position oracle, fault injection.
 * @module
 */
export * from "./announcement.ts"
export * from "./oracle.ts"
export * from "./swarm.ts"
