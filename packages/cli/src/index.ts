/**
 * The parts of the `swarm` command that other programs use: its client's layer, and servers as child processes.
 * @module
 */
export * from "./children.ts"
export { clientLayer } from "./layers.ts"
