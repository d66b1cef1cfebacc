/**
 * How a group is formed: messages over the channels that will carry it, and these channels as links of the group.
 *
 * Rank 0 dials each other rank and sends `invite`, one after the other, each after the `invited` of the one before. A
 * rank that is invited dials those between 0 and itself and sends `join`; when it has loaded its part and has all its
 * links it answers `ready`. What follows on the channels are messages of the communicator.
 * @module
 */
import type { PlanOptions } from "@swarm/model"
import type { MessageLink } from "@swarm/tp-kernels"
import type { Channel } from "@swarm/transport"

/** What a rank is to hold. */
export interface Invitation {
  readonly kind: "invite"
  /** Random name of the group. */
  readonly group: string
  readonly rank: number
  /** Addresses of ranks 1 and on; with rank 0 they are the group. */
  readonly addresses: ReadonlyArray<string>
  /** Digest of the model. */
  readonly model: string
  readonly from: number
  readonly to: number
  readonly plan: Pick<PlanOptions, "weights" | "group" | "activations" | "maxPositions">
  readonly reproducible: boolean
}

export type GroupMessage =
  | Invitation
  | { readonly kind: "invited" }
  | { readonly kind: "join"; readonly group: string; readonly rank: number }
  | { readonly kind: "ready"; readonly weightBytes: number }
  | { readonly kind: "refused"; readonly detail: string }

/** Greatest accepted message, and group. */
const MAX_BYTES = 1 << 16
const MAX_RANKS = 256

export const encodeMessage = (message: GroupMessage): Uint8Array => new TextEncoder().encode(JSON.stringify(message))

/** The message; undefined for what none is. */
const decodeMessage = (bytes: Uint8Array): GroupMessage | undefined => {
  if (bytes.length > MAX_BYTES) return undefined
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === "object" && value !== null && isMessage(value as Fields)
      ? (value as GroupMessage)
      : undefined
  } catch {
    return undefined
  }
}

type Fields = Readonly<Record<string, unknown>>

const isMessage = (value: Fields): boolean => {
  switch (value.kind) {
    case "invite":
      return isInvitation(value)
    case "invited":
      return true
    case "join":
      return isText(value.group) && isCount(value.rank)
    case "ready":
      return isCount(value.weightBytes)
    case "refused":
      return isText(value.detail)
    default:
      return false
  }
}

const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 4096
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isOneOf = (value: unknown, words: ReadonlyArray<string>) => value === undefined || words.includes(value as string)

const isInvitation = ({ group, rank, addresses, model, from, to, plan, reproducible }: Fields): boolean => {
  if (!isText(group) || !isText(model) || typeof reproducible !== "boolean") return false
  if (!Array.isArray(addresses) || addresses.length >= MAX_RANKS || !addresses.every(isText)) return false
  if (!isCount(rank) || rank < 1 || rank > addresses.length || !isCount(from) || !isCount(to)) return false
  if (typeof plan !== "object" || plan === null) return false
  const { weights, group: size, activations, maxPositions } = plan as Fields
  return (
    isOneOf(weights, ["as-is", "q4", "q8", "f16", "f32"]) &&
    isOneOf(activations, ["int8", "f32"]) &&
    [size, maxPositions].every((count) => count === undefined || isCount(count))
  )
}

/** The messages of a channel while a group is formed, one by one. */
export interface Inbox {
  /** The next message; undefined once the channel is closed, or for what no message is. */
  readonly next: () => Promise<GroupMessage | undefined>
}

export const inbox = (channel: Channel): Inbox => {
  const came: Array<Uint8Array> = []
  let wake: (() => void) | undefined
  let closed = false
  channel.receive((message) => {
    came.push(message)
    wake?.()
  })
  void channel.closed.then(() => {
    closed = true
    wake?.()
  })
  return {
    next: async () => {
      while (came.length === 0 && !closed) await new Promise<void>((resolve) => (wake = resolve))
      const bytes = came.shift()
      return bytes && decodeMessage(bytes)
    }
  }
}

/** A channel as a link of the group. */
export const linkOf = (channel: Channel): MessageLink => ({
  send: (message) => {
    if (!channel.send(message)) throw new Error("the channel is closed")
  },
  listen: (receive, ended) => {
    channel.receive(receive)
    void channel.closed.then(ended)
  }
})
