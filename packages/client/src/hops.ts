/**
 * Requests to the servers of a chain.
 * @module
 */
import { randomBytes } from "node:crypto"
import type { Journal } from "@swarm/cache"
import { hostOf, isLoopbackHost } from "@swarm/discovery"
import { type Announcement, elsewhere, type Fault, type Link, type WireCodec } from "@swarm/protocol"
import type { Hop } from "@swarm/routing"
import { type Connection, isRequestFailure, type RequestFailure } from "@swarm/transport"
import * as Effect from "effect/Effect"
import type { Links } from "./Links.ts"

/** A hop with a session open on it. */
export interface OpenHop {
  readonly hop: Hop
  /** The session's name at this hop: random, since who knows it may send steps. */
  readonly session: string
  readonly connection: Connection
  /** Inputs of this hop. */
  readonly journal: Journal
  /** The fingerprint that the server gave when the session was opened. */
  readonly digest: string
  /** Whether its results depend on nothing but the rows. */
  readonly reproducible: boolean
}

/** Why a hop cannot be used: the server's fault, or the network's. */
export type HopFailure = { readonly hop: Hop; readonly fault: Fault }

/** Seconds for requests that a server answers at once. */
const PROMPT_SECONDS = 3
/** Seconds for requests that wait for a run to end. */
const RUN_SECONDS = 30

export interface OpenRequest {
  readonly epoch: number
  readonly model: string
  readonly maxTokens: number
  readonly codec: WireCodec
}

/** A failure as the fault that it means for this hop. */
export const faultOf = (failure: unknown): Fault => {
  if (isRequestFailure(failure)) return requestFault(failure)
  return elsewhere("protocol", failure instanceof Error ? failure.message : String(failure))
}

const requestFault = (failure: RequestFailure): Fault => {
  switch (failure._tag) {
    case "Fault":
      return failure.fault
    case "Timeout":
      return elsewhere("deadline", "the server does not answer")
    case "Closed":
      return elsewhere("next-gone", failure.closed.message)
  }
}

/** Opens a session at `hop`; its output is withheld until `relinkHop` gives it a place in the chain. */
export const openHop = (
  links: Links,
  hop: Hop,
  request: OpenRequest,
  journal: Journal
): Effect.Effect<OpenHop, HopFailure> =>
  Effect.gen(function* () {
    const connection = yield* links
      .connect(hop.address, hop.peer)
      .pipe(Effect.mapError((cause): HopFailure => ({ hop, fault: elsewhere("next-gone", cause.message) })))
    const session = randomBytes(12).toString("hex")
    const opened = yield* Effect.tryPromise({
      try: () =>
        connection.request(
          "open",
          {
            ...request,
            session,
            blocks: hop.blocks,
            next: { kind: "client" },
            sendFrom: request.maxTokens,
            journalFrom: -1
          },
          { timeoutSeconds: PROMPT_SECONDS }
        ),
      catch: (failure): HopFailure => ({ hop, fault: faultOf(failure) })
    })
    return { hop, session, connection, journal, digest: opened.body.digest, reproducible: opened.body.reproducible }
  })

/** Stops a hop and learns its position; copies of all outputs up to there have come by then. */
export const holdHop = async (open: OpenHop, epoch: number): Promise<number> => {
  // a stopped process would keep us for as long as a run may take: a ping tells them apart
  const answer = open.connection.request("hold", { session: open.session, epoch }, { timeoutSeconds: RUN_SECONDS })
  answer.catch(() => undefined)
  await open.connection.ping(PING_SECONDS)
  return (await answer).body.position
}

/** A server that lives answers pings within this time, however busy it is. */
export const PING_SECONDS = 1

export const relinkHop = async (open: OpenHop, epoch: number, keep: number, link: Link): Promise<void> => {
  await open.connection.request(
    "relink",
    { ...link, session: open.session, epoch, keep },
    { timeoutSeconds: PROMPT_SECONDS }
  )
}

/** Frees the hop's KV cache. Never fails: a server that does not hear it frees the cache with the connection. */
export const closeHop = async (open: OpenHop): Promise<void> => {
  try {
    await open.connection.request("close", { session: open.session }, { timeoutSeconds: 1 })
  } catch {
    // see above
  }
}

/** The link from a hop to the one after it; `undefined`: back to the client. */
export const linkTo = (
  next: OpenHop | undefined,
  known: ReadonlyArray<Announcement>,
  sendFrom: number,
  journalFrom: number
): Link => ({
  next:
    next === undefined
      ? { kind: "client" }
      : { kind: "peer", peer: next.hop.peer, address: addressForServers(next.hop, known), session: next.session },
  sendFrom,
  journalFrom
})

/**
 * Where other servers dial a hop. What the client dials may be loopback, to a server on its own machine or through a tunnel, which
 * would lead another machine to itself: then an address of those announced that means the same everywhere.
 */
export const addressForServers = ({ peer, address }: Hop, known: ReadonlyArray<Announcement>): string => {
  const announced = known.find((announcement) => announcement.peer === peer)?.addresses ?? []
  return [address, ...announced].find((candidate) => !isLoopbackHost(hostOf(candidate) ?? "")) ?? address
}
