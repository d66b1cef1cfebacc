/**
 * Who serves which blocks: static peers, bootstrap peer.
 * @module
 */
export * from "./addresses.ts"
export * from "./Bootstrap.ts"
export * from "./combine.ts"
export * from "./Directory.ts"
export * from "./Discovery.ts"
export * from "./DiscoveryError.ts"
export * from "./Heard.ts"
export * from "./ownAddresses.ts"
export * from "./peersFile.ts"
export * from "./Refusals.ts"
export * from "./Static.ts"
export * from "./sign.ts"
export * from "./Table.ts"
export * from "./Watch.ts"
