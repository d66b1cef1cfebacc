/**
 * Sessions and connections for tests of what a server does with them.
 * @module
 */

import { decodeFrame, encodeFrame, type Link, type Open, type Step, type WireCodec } from "@swarm/protocol"
import { oracleSpan } from "@swarm/testing"
import type { Connection } from "@swarm/transport"
import { makeSession, type Session } from "../src/Session.ts"

export const HIDDEN = 4

/** A frame that was sent. */
export interface Sent {
  readonly kind: string
  readonly body: Readonly<Record<string, unknown>>
  readonly payload: Uint8Array
}

/** A connection that keeps what is sent over it. */
export const fakeConnection = (peer: string) => {
  const sent: Array<Sent> = []
  let open = true
  const refuse = () => {
    throw new Error("nobody asks a server's session for this")
  }
  const send = (frame: Uint8Array): boolean => {
    const { kind, body, payload } = decodeFrame(frame)
    if (open) sent.push({ kind, body: { ...body }, payload })
    return open
  }
  const connection: Connection = {
    peer,
    remote: `fake:${peer}`,
    hello: { versions: [1], peer, software: "test" },
    request: refuse,
    notify: (kind, body, payload) => send(encodeFrame(kind, 0, body, payload)),
    reply: refuse,
    send,
    receive: refuse,
    buffered: () => 0,
    roundTrip: () => undefined,
    ping: refuse,
    closed: new Promise(() => {}),
    isClosed: () => !open,
    close: () => {
      open = false
    }
  }
  return { connection, sent }
}

export interface SessionOptions {
  readonly name?: string
  readonly maxTokens?: number
  readonly codec?: WireCodec
  readonly link?: Partial<Link>
  readonly next?: Connection
  readonly owner?: Connection
  readonly span?: ReturnType<typeof oracleSpan>
}

export const sessionOf = ({ name = "s", maxTokens = 64, codec = "f32", ...more }: SessionOptions = {}): Session => {
  const span = more.span ?? oracleSpan({ from: 0, to: 2, hiddenSize: HIDDEN })
  const open: Open = {
    session: name,
    epoch: 1,
    model: "m",
    blocks: { from: 0, to: 2 },
    maxTokens,
    codec,
    next: { kind: "client" },
    sendFrom: 0,
    journalFrom: -1,
    ...more.link
  }
  const reservation = { session: name, tokens: maxTokens, bytes: maxTokens, since: 0 }
  const owner = more.owner ?? fakeConnection("client").connection
  return makeSession(open, owner, span.open(maxTokens), reservation, HIDDEN, more.next)
}

export const stepOf = (position: number, tokens: number, more: Partial<Step> = {}): Step => ({
  session: "s",
  epoch: 1,
  position,
  tokens,
  codec: "f32",
  want: "last",
  ...more
})

/** Rows whose every value is the position of the row. */
export const rowsAt = (position: number, tokens: number): Float32Array =>
  new Float32Array(tokens * HIDDEN).map((_, i) => position + Math.floor(i / HIDDEN))

/** Hands the rows of a step to a session. */
export const feed = (session: Session, position: number, tokens: number, more: Partial<Step> = {}) =>
  session.accept(stepOf(position, tokens, more), () => rowsAt(position, tokens), 0)
