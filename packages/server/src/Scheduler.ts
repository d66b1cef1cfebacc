/**
 * Hands the steps of several sessions to one run of a span.
 *
 * Short steps (decode) go first, together; one long step (prefill) goes along, cut into chunks, so that a long prompt
 * stalls nobody and is never starved.
 * @module
 */
import { setImmediate, setTimeout } from "node:timers/promises"
import type { Span } from "@swarm/compute"
import { makeGroups } from "./groups.ts"
import type { Session, Work } from "./Session.ts"

export interface SchedulerOptions {
  /** Tokens of a prefill chunk while other sessions wait. @default 64 */
  readonly sharedChunk?: number
  /** Tokens of a prefill chunk when nobody else waits. @default 256 */
  readonly chunk?: number
  /** Servers of a chain of this model: sessions run in so many groups, which follow each other through the chain. @default 1 */
  readonly hops?: number
  /** Whether no other session can have something to compute: then a step starts at once. @default never */
  readonly isAlone?: () => boolean
}

export interface Scheduler {
  /** Says that a session has something to compute. */
  readonly wake: (session: Session) => void
  /** Sessions that wait. */
  readonly queue: () => number
  /** Settles when no run is under way. */
  readonly idle: () => Promise<void>
}

/** Who waits: all with a short step, and the first with a long one. */
interface Queue {
  readonly short: ReadonlyArray<Session>
  readonly long: Session | undefined
}

/** Steps of so few tokens count as decode: a token, or a token with drafts. */
const SHORT = 8

/**
 * @param done receives each session's rows: f32 (tokens, hidden), a view that is the receiver's
 * @param failed receives the sessions of a run that failed; their work is lost
 */
export const makeScheduler = (
  span: Span,
  done: (session: Session, work: Work, rows: Float32Array) => void,
  failed: (session: Session, cause: unknown) => void,
  options: SchedulerOptions = {}
): Scheduler => {
  const { sharedChunk = 64, chunk = 256, hops = 1, isAlone = () => false } = options
  const groups = hops > 1 ? makeGroups(hops) : undefined
  const waiting = new Set<Session>()
  let current: Promise<void> | undefined

  const queued = (): Queue => {
    const short: Array<Session> = []
    let long: Session | undefined
    for (const session of waiting) {
      const tokens = session.ready()
      if (tokens === 0) waiting.delete(session)
      else if (tokens <= SHORT) short.push(session)
      else long ??= session
    }
    return { short, long }
  }

  const pick = ({ short, long }: Queue): Array<readonly [Session, Work]> => {
    const [first] = short
    const share = first === undefined ? undefined : groups?.share(first)
    const room = span.maxSessions - (long === undefined ? 0 : 1)
    const chosen = short.slice(0, Math.min(room, share ?? room))
    groups?.ran(chosen, performance.now())
    if (long !== undefined) chosen.push(long)
    const picked: Array<readonly [Session, Work]> = []
    for (const session of chosen) {
      const work = session.take(chosen.length > 1 && session === long ? sharedChunk : chunk)
      // a session goes to the end of the queue
      waiting.delete(session)
      if (work !== undefined) picked.push([session, work])
    }
    return picked
  }

  const run = async (picked: ReadonlyArray<readonly [Session, Work]>): Promise<void> => {
    const { hiddenSize } = span
    try {
      const steps = picked.map(([session, { position, tokens }]) => ({ kv: session.kv, position, tokens }))
      const y = await span.run(steps, join(picked.map(([, work]) => work.x)))
      let row = 0
      for (const [session, work] of picked) {
        const rows = y.subarray(row * hiddenSize, (row + work.tokens) * hiddenSize)
        row += work.tokens
        if (session.finish(work.tokens)) done(session, work, rows)
      }
    } catch (cause) {
      for (const [session] of picked) if (session.finish(0)) failed(session, cause)
    }
    for (const [session] of picked) if (session.ready() > 0) waiting.add(session)
  }

  /** Milliseconds for which a small group waits to meet the next one, when that is due. */
  const patience = ({ short, long }: Queue): number => {
    const [first] = short
    if (groups === undefined || first === undefined || long !== undefined) return 0
    return groups.patience(first, short.length, performance.now())
  }

  const next = async (): Promise<Array<readonly [Session, Work]>> => {
    const queue = queued()
    const milliseconds = patience(queue)
    if (milliseconds === 0) return pick(queue)
    await setTimeout(milliseconds)
    return pick(queued())
  }

  const loop = async (): Promise<void> => {
    for (let picked = await next(); picked.length > 0; picked = await next()) {
      await run(picked)
      // rows leave, and what has come meanwhile shares the next run
      await setImmediate()
    }
    current = undefined
  }

  return {
    wake: (session) => {
      if (session.ready() === 0) return
      waiting.add(session)
      // after the sockets that are readable now: what they bring shares the run
      current ??= (isAlone() ? Promise.resolve() : setImmediate()).then(loop)
    },
    queue: () => waiting.size,
    idle: async () => {
      while (current !== undefined) await current
    }
  }
}

const join = (parts: ReadonlyArray<Float32Array>): Float32Array => {
  if (parts.length === 1) return parts[0] as Float32Array
  const x = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    x.set(part, at)
    at += part.length
  }
  return x
}
