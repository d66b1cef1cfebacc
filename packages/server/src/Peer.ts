/**
 * What a serving peer does with each frame that comes in: the state machine of a server, without life cycle.
 * @module
 */
import type { Reservation } from "@swarm/cache"
import type { Span } from "@swarm/compute"
import { elsewhere, type Fault, type Frame, type Link, later, type Messages, never, type Status } from "@swarm/protocol"
import { decodeRows } from "@swarm/quant"
import type { Connection } from "@swarm/transport"
import type { Host } from "./Host.ts"
import type { ServedModel } from "./Options.ts"
import { makeSession, type Session, type Work } from "./Session.ts"

export interface PeerOptions {
  readonly model: ServedModel
  readonly maxTokens: number
  readonly queueSeconds: number
  readonly drainSeconds: number
  /** Dials the next hop. Rejects if it cannot be reached, or another peer answers. */
  readonly connect: (address: string, peer: string) => Promise<Connection>
  readonly status: () => Status
}

export interface Peer {
  /** Handles a frame of the token path or of a session. False if the frame is of another kind. */
  readonly handle: (frame: Frame, connection: Connection) => boolean
  readonly done: (session: Session, work: Work, rows: Float32Array) => void
  readonly failed: (session: Session, cause: unknown) => void
  /** Refuses new sessions and tells those that run to move. */
  readonly drain: () => void
  /** Flushes copies, closes idle sessions, gives up steps that waited too long. Call it a few times a second. */
  readonly sweep: () => void
  readonly sessions: () => number
  readonly kvTokens: () => number
  readonly close: () => void
}

const seconds = (): number => performance.now() / 1000

export const makePeer = (host: Host, options: PeerOptions): Peer => {
  const { span, budget, outlet } = host
  const sessions = new Map<string, Session>()
  /** A connection's own sessions: they end with it. */
  const owned = new Map<Connection, Set<string>>()
  let draining = false

  const end = (name: string): void => {
    const session = sessions.get(name)
    if (session === undefined) return
    sessions.delete(name)
    owned.get(session.owner)?.delete(name)
    outlet.forget(session)
    budget.free(session.reservation, seconds())
    session.close()
  }

  const own = (connection: Connection): Set<string> => {
    let names = owned.get(connection)
    if (names === undefined) {
      names = new Set()
      owned.set(connection, names)
      void connection.closed.then(() => {
        for (const name of [...(owned.get(connection) ?? [])]) end(name)
        owned.delete(connection)
      })
    }
    return names
  }

  const tell = (session: Session, fault: Fault): void => {
    session.owner.notify("sessionFault", { session: session.name, epoch: session.epoch(), fault })
  }

  const nextOf = async (link: Link): Promise<Connection | undefined | Fault> => {
    if (link.next.kind === "client") return undefined
    const { peer, address } = link.next
    const gone = (why: string) => elsewhere("next-gone", `cannot reach the next hop at "${address}": ${why}`, { peer })
    try {
      return await options.connect(address, peer)
    } catch (cause) {
      return gone(text(cause))
    }
  }

  const refusal = (open: Messages["open"]): Fault | undefined => {
    const { from, to } = open.blocks
    const { digest, name } = options.model
    if (draining) return elsewhere("draining", "this server is about to stop")
    if (open.model !== digest) return never("unknown-model", `this server serves ${name} (${digest})`)
    if (span.from !== from || span.to !== to) {
      return elsewhere("wrong-blocks", `this server serves blocks ${span.from}:${span.to}, not ${from}:${to}`)
    }
    if (open.maxTokens > options.maxTokens) {
      return elsewhere("too-long", `sessions here hold at most ${options.maxTokens} tokens, not ${open.maxTokens}`)
    }
    return sessions.has(open.session) ? never("protocol", "a session of this name is open") : undefined
  }

  const reserve = (open: Messages["open"]): Reservation | Fault => {
    const reservation = budget.reserve(open.session, open.maxTokens, seconds())
    if (reservation !== "full") return reservation
    const wait = budget.retryAfter(open.maxTokens, seconds())
    return Number.isFinite(wait)
      ? later("cache-full", `no KV memory for ${open.maxTokens} tokens now: ${budget.freeTokens()} are free`, wait)
      : elsewhere("too-long", `the KV memory here holds ${budget.capacityTokens} tokens, not ${open.maxTokens}`)
  }

  const open = async (body: Messages["open"], connection: Connection): Promise<Fault | undefined> => {
    const refused = refusal(body)
    if (refused !== undefined) return refused
    const reservation = reserve(body)
    if (isFault(reservation)) return reservation
    const next = await nextOf(body)
    try {
      if (isFault(next)) throw next
      if (connection.isClosed() || sessions.has(body.session))
        throw elsewhere("protocol", "the session was opened twice or its connection closed")
      sessions.set(
        body.session,
        makeSession(body, connection, span.open(body.maxTokens), reservation, span.hiddenSize, next)
      )
    } catch (cause) {
      budget.free(reservation, seconds())
      return isFault(cause) ? cause : elsewhere("engine", text(cause))
    }
    own(connection).add(body.session)
    return undefined
  }

  const step = (body: Messages["step"], payload: Uint8Array, connection: Connection): void => {
    const session = sessions.get(body.session)
    if (session === undefined) {
      const fault = elsewhere("unknown-session", "this server has no such session")
      connection.notify("sessionFault", { session: body.session, epoch: body.epoch, fault })
      return
    }
    budget.touch(session.reservation, seconds())
    const fault = session.accept(body, () => decodeStep(body, payload, span), performance.now())
    if (fault !== undefined) tell(session, fault)
    else host.scheduler.wake(session)
  }

  const hold = async (body: Messages["hold"]): Promise<number | Fault> => {
    const session = sessions.get(body.session)
    if (session === undefined) return elsewhere("unknown-session", "this server has no such session")
    const position = await session.hold(body.epoch)
    outlet.flush(session)
    return position
  }

  const relink = async (body: Messages["relink"]): Promise<number | Fault> => {
    const next = await nextOf(body)
    if (isFault(next)) return next
    const session = sessions.get(body.session)
    if (session === undefined) return elsewhere("unknown-session", "this server has no such session")
    await session.hold(body.epoch)
    session.relink(body.epoch, body, body.keep, next)
    return session.position()
  }

  /** The next hop lost the session that we feed: the client must repair the chain. */
  const nextFault = (body: Messages["sessionFault"], connection: Connection): void => {
    for (const session of sessions.values()) {
      const { next } = session.link()
      if (next.kind === "peer" && next.session === body.session && session.nextConnection() === connection) {
        tell(session, elsewhere(body.fault.code, body.fault.detail, { peer: next.peer }))
      }
    }
  }

  const answer = (frame: Frame, connection: Connection, work: Promise<number | Fault>): void => {
    void work.then((result) =>
      isFault(result)
        ? connection.reply(frame.request, "fault", result)
        : connection.reply(frame.request, "position", { position: result })
    )
  }

  const kvTokens = () => [...sessions.values()].reduce((sum, session) => sum + session.position(), 0)

  return {
    handle: (frame, connection) => {
      switch (frame.kind) {
        case "step":
          step(frame.body, frame.payload, connection)
          return true
        case "open":
          void open(frame.body, connection).then((fault) => {
            if (fault !== undefined) connection.reply(frame.request, "fault", fault)
            else connection.reply(frame.request, "opened", { digest: span.digest, reproducible: span.reproducible })
          })
          return true
        case "hold":
          answer(frame, connection, hold(frame.body))
          return true
        case "relink":
          answer(frame, connection, relink(frame.body))
          return true
        case "close":
          end(frame.body.session)
          connection.reply(frame.request, "ok", {})
          return true
        case "sessionFault":
          nextFault(frame.body, connection)
          return true
        case "status":
          connection.reply(frame.request, "statusReply", options.status())
          return true
        default:
          return false
      }
    },
    done: (session, work, rows) => {
      if (!allFinite(rows)) return tell(session, elsewhere("engine", "the blocks gave values that are not finite"))
      const fault = outlet.send(session, work, rows)
      if (fault !== undefined) tell(session, fault)
    },
    failed: (session, cause) => tell(session, elsewhere("engine", text(cause))),
    drain: () => {
      draining = true
      for (const session of sessions.values()) {
        session.owner.notify("draining", { session: session.name, graceSeconds: options.drainSeconds })
      }
    },
    sweep: () => {
      const now = performance.now()
      outlet.flushAll()
      for (const { session: name } of budget.expired(now / 1000)) {
        const session = sessions.get(name)
        if (session !== undefined) tell(session, elsewhere("expired", "the session was idle for too long"))
        end(name)
      }
      for (const session of sessions.values()) {
        if (session.waited(now) <= options.queueSeconds * 1000) continue
        tell(session, elsewhere("deadline", `a step waited for ${options.queueSeconds} s`))
        end(session.name)
      }
    },
    sessions: () => sessions.size,
    kvTokens,
    close: () => {
      for (const name of [...sessions.keys()]) end(name)
    }
  }
}

const isFault = (value: unknown): value is Fault =>
  typeof value === "object" && value !== null && "kind" in value && "code" in value

const decodeStep = (body: Messages["step"], payload: Uint8Array, span: Span): Float32Array | Fault => {
  let x: Float32Array
  try {
    x = decodeRows(body.codec, payload, body.tokens, span.hiddenSize)
  } catch (cause) {
    return never("bad-step", text(cause))
  }
  return allFinite(x) ? x : never("bad-step", "a step holds values that are not finite")
}

const allFinite = (x: Float32Array): boolean => {
  // one NaN or infinity makes the sum of x * 0 NaN
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += x[i]! * 0
  return sum === 0
}

const text = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
