/**
 * The error of received bytes that break the protocol.
 * @module
 */

/**
 * What is wrong with a frame.
 * - `length`: truncated, or longer or shorter than its prefix says
 * - `magic`, `version`: not ours, or of another layout
 * - `checksum`: changed on the way
 * - `kind`: a message that this version does not know
 * - `body`: not MessagePack, or a field is missing, of a wrong type or out of range
 * - `limit`: beyond a limit of `Limits.ts`
 */
export type ProtocolReason = "magic" | "version" | "length" | "checksum" | "kind" | "body" | "limit"

/** A peer sent what the protocol does not allow. *Never*: close the channel; the same bytes fail again. */
export class ProtocolError extends Error {
  readonly _tag = "ProtocolError"
  readonly reason: ProtocolReason
  /** What was found and what would be right. */
  readonly detail: string

  constructor(reason: ProtocolReason, detail: string) {
    super(`Cannot read the frame (${reason}): ${detail}`)
    this.name = "ProtocolError"
    this.reason = reason
    this.detail = detail
  }
}
