/**
 * Framed duplex channels: memory, WebSocket, emulated link; and the connections of a peer on top of them.
 * @module
 */
export * from "./Connection.ts"
export * from "./Emulated.ts"
export * from "./Limits.ts"
export * from "./Memory.ts"
export * from "./Network.ts"
export * from "./Transport.ts"
export * from "./TransportError.ts"
export * from "./WebSocket.ts"
