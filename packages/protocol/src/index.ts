/**
 * What crosses the wire: frames, messages, faults, limits.
 * @module
 */
export * from "./Fault.ts"
export * from "./Frame.ts"
export * from "./Limits.ts"
export * from "./Message.ts"
export * from "./ProtocolError.ts"
export * from "./Record.ts"
export * from "./Version.ts"
