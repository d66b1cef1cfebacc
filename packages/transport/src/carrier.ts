/**
 * What a carrier of channels is made of, for those in other packages: who closed first, and messages before there is a receiver.
 * @module
 */
export { Closing } from "./internal/Closing.ts"
export { Inbox } from "./internal/Inbox.ts"
