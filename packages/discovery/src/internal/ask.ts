/**
 * Requests to a directory.
 * @module
 */
import type { Found, Messages, RequestKind } from "@swarm/protocol"
import { isRequestFailure, type Network, type ReplyTo } from "@swarm/transport"
import * as Effect from "effect/Effect"

/** Why there is no answer, for people. */
const describe = (failure: unknown): string => {
  if (!isRequestFailure(failure)) return failure instanceof Error ? failure.message : String(failure)
  switch (failure._tag) {
    case "Closed":
      return failure.closed.message
    case "Timeout":
      return "no answer in time"
    case "Fault":
      return failure.fault.detail
  }
}

/** One request to the peer at `address`, the dial included. Fails with the reason, after `timeoutSeconds` at the latest. */
const exchange = <K extends RequestKind>(
  network: Network,
  address: string,
  kind: K,
  body: Messages[K],
  timeoutSeconds: number
): Effect.Effect<{ readonly peer: string; readonly reply: ReplyTo<K> }, string> =>
  network.connect(address).pipe(
    Effect.mapError((error) => error.message),
    Effect.flatMap((connection) =>
      Effect.tryPromise({
        try: () => connection.request(kind, body, { timeoutSeconds }),
        catch: describe
      }).pipe(Effect.map((reply) => ({ peer: connection.peer, reply })))
    ),
    Effect.timeoutFail({ duration: timeoutSeconds * 1000, onTimeout: () => "no answer in time" })
  )

/** What a directory said. */
export interface Answer {
  /** Who answered. */
  readonly peer: string
  /** Not checked. */
  readonly announcements: ReadonlyArray<Found>
}

/** Asks the peer at `address` what it serves and knows. Fails with the reason. */
export const ask = (
  network: Network,
  address: string,
  model: string,
  timeoutSeconds: number
): Effect.Effect<Answer, string> =>
  Effect.map(exchange(network, address, "find", { model }, timeoutSeconds), ({ peer, reply }) => ({
    peer,
    announcements: reply.body.announcements
  }))

/** Tells the directory at `address` of this server. Fails with the reason. */
export const tell = (
  network: Network,
  address: string,
  record: Uint8Array,
  timeoutSeconds: number
): Effect.Effect<void, string> => Effect.asVoid(exchange(network, address, "announce", { record }, timeoutSeconds))
