/**
 * Sends a hop's output on: to the next hop or the client, and copies to the client's journal, in batches off the token
 * path.
 * @module
 */
import { elsewhere, type Fault, type WireCodec } from "@swarm/protocol"
import { encodeRows } from "@swarm/quant"
import type { Session, Work } from "./Session.ts"

/** Copies wait for so many tokens, or for the next `flushAll`. */
const JOURNAL_TOKENS = 8
/**
 * Where steps are slower than this, bundles save nothing: each copy leaves at once, and the client sees by them where
 * the time of a step goes.
 */
const SLOW_MILLISECONDS = 50

interface Copies {
  readonly position: number
  tokens: number
  readonly codec: WireCodec
  readonly payloads: Array<Uint8Array>
}

export interface Outlet {
  /** Sends the rows of a run on. A fault means that they did not leave: it goes to the client. */
  readonly send: (session: Session, work: Work, rows: Float32Array) => Fault | undefined
  /** Sends a session's waiting copies now. */
  readonly flush: (session: Session) => void
  readonly flushAll: () => void
  readonly forget: (session: Session) => void
}

export const makeOutlet = (hiddenSize: number): Outlet => {
  const pending = new Map<Session, Copies>()
  const copiedAt = new WeakMap<Session, number>()

  const flush = (session: Session): void => {
    const copies = pending.get(session)
    if (copies === undefined) return
    pending.delete(session)
    copiedAt.set(session, performance.now())
    const { position, tokens, codec, payloads } = copies
    session.owner.notify(
      "journal",
      { session: session.name, epoch: session.epoch(), position, tokens, codec },
      payloads
    )
  }

  const copy = (session: Session, position: number, tokens: number, codec: WireCodec, payload: Uint8Array): void => {
    let copies = pending.get(session)
    if (copies !== undefined && (copies.codec !== codec || copies.position + copies.tokens !== position)) {
      flush(session)
      copies = undefined
    }
    if (copies === undefined) {
      copies = { position, tokens: 0, codec, payloads: [] }
      pending.set(session, copies)
    }
    copies.tokens += tokens
    copies.payloads.push(payload)
    const now = performance.now()
    const last = copiedAt.get(session)
    if (last === undefined) copiedAt.set(session, now)
    const isSlow = last !== undefined && now - last >= SLOW_MILLISECONDS
    if (copies.tokens >= JOURNAL_TOKENS || isSlow) flush(session)
  }

  const toClient = (session: Session, work: Work, rows: Float32Array): void => {
    const end = work.position + work.tokens
    const from = work.want === "last" ? end - 1 : work.position
    const first = Math.max(from, session.link().sendFrom)
    if (first >= end) return
    const { codec, payload } = encodeRows(
      session.codec,
      rows.subarray((first - work.position) * hiddenSize),
      hiddenSize
    )
    const body = { session: session.name, epoch: session.epoch(), position: first, tokens: end - first, codec }
    session.owner.notify("output", body, payload)
  }

  const toPeer = (
    session: Session,
    work: Work,
    rows: Float32Array,
    next: { readonly peer: string; readonly session: string }
  ) => {
    const { sendFrom, journalFrom } = session.link()
    const end = work.position + work.tokens
    const firstSent = Math.max(work.position, sendFrom)
    const firstCopied = journalFrom < 0 ? end : Math.max(work.position, journalFrom)
    const first = Math.min(firstSent, firstCopied)
    if (first >= end) return undefined
    const { codec, payload } = encodeRows(
      session.codec,
      rows.subarray((first - work.position) * hiddenSize),
      hiddenSize
    )
    const bytes = payload.length / (end - first)
    let sent = true
    if (firstSent < end) {
      const body = {
        session: next.session,
        epoch: session.epoch(),
        position: firstSent,
        tokens: end - firstSent,
        codec,
        want: work.want
      }
      sent = session.nextConnection()?.notify("step", body, payload.subarray((firstSent - first) * bytes)) ?? false
    }
    if (firstCopied < end)
      copy(session, firstCopied, end - firstCopied, codec, payload.subarray((firstCopied - first) * bytes))
    return sent ? undefined : elsewhere("next-gone", "the connection to the next hop is closed", { peer: next.peer })
  }

  return {
    send: (session, work, rows) => {
      const { next } = session.link()
      if (next.kind === "peer") return toPeer(session, work, rows, next)
      toClient(session, work, rows)
      return undefined
    },
    flush,
    flushAll: () => {
      for (const session of [...pending.keys()]) flush(session)
    },
    forget: (session) => {
      pending.delete(session)
    }
  }
}
