/**
 * What can go wrong with channels.
 * @module
 */
import * as Data from "effect/Data"

/** Nobody answers at the address, or the handshake failed. *Elsewhere*: nothing was sent. */
export class DialError extends Data.TaggedError("DialError")<{
  readonly address: string
  readonly reason: "refused" | "timeout" | "handshake" | "address"
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot dial "${this.address}": ${this.detail}`
  }
}

/** The address cannot be listened on. *Never*: choose another. */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly address: string
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot listen on "${this.address}": ${this.detail}`
  }
}

/**
 * The channel is closed. *Elsewhere*, or dial again. What was in flight may or may not have arrived.
 * - `local`, `remote`: this end or the other closed it
 * - `protocol`: the other end broke the protocol, or this end failed to handle what it sent
 * - `overflow`: too much waited for a receiver or for a peer that does not read
 * - `lost`: it broke without a goodbye
 */
export class ChannelClosed extends Data.TaggedError("ChannelClosed")<{
  readonly remote: string
  readonly reason: "local" | "remote" | "protocol" | "overflow" | "lost"
  readonly detail: string
}> {
  override get message(): string {
    return `The channel to "${this.remote}" is closed: ${this.detail}`
  }
}

/** Every error of this package. */
export type TransportError = DialError | ListenError | ChannelClosed
