/**
 * Channels over libp2p.
 * @module
 */
export * from "./Libp2p.ts"
