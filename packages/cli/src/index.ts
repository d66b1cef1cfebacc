/**
 * The swarm command.
 * @module
 */
export {}
