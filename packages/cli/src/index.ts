/**
 * The parts of the `swarm` command that other programs use: servers as child processes.
 * @module
 */
export * from "./children.ts"
