/**
 * One session over a chain of servers, which survives the loss of any of them.
 *
 * A step goes to the first server, from server to server, and from the last one back. The client journals the inputs of
 * every hop (its own, and the copies that each server sends of its output), so any hop can be made anew elsewhere.
 * @module
 */
import { JournalFull, JournalUnreadable } from "@swarm/cache"
import { elsewhere, type Fault, type Frame, type WireCodec } from "@swarm/protocol"
import { decodeRows, encodeRows } from "@swarm/quant"
import type { Hop, Outcome } from "@swarm/routing"
import type { Connection } from "@swarm/transport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import {
  type ClientError,
  ComputeFailed,
  ContextExceeded,
  SessionClosed,
  SessionRefused,
  TooManyFailures
} from "./ClientError.ts"
import { closeHop, faultOf, type OpenHop, PING_SECONDS } from "./hops.ts"
import { LEAST_BYTES, lineRate } from "./lineRate.ts"
import type { Pipeline } from "./Pipeline.ts"
import { makePace } from "./pace.ts"
import { type RepairTools, repair } from "./Repair.ts"

export interface ChainOptions {
  readonly maxTokens: number
  readonly hiddenSize: number
  readonly codec: WireCodec
  /** A step without progress for so long makes the client ask whether all servers live. @default 1 */
  readonly stallSeconds?: number
  /** A chain whose servers live but which gives nothing for so long is set up anew. @default 60 */
  readonly stepSeconds?: number
}

/** A pipeline over servers. */
export interface Chain extends Pipeline {
  readonly route: () => ReadonlyArray<Hop>
  /** Repairs so far that lost a hop. */
  readonly recoveries: () => number
  /** Pause of each, in milliseconds: from the failure to the next output. */
  readonly pauses: () => ReadonlyArray<number>
}

/** Rows that the caller waits for: positions [start, end). */
interface Pending {
  readonly start: number
  readonly end: number
  readonly want: "all" | "last"
  readonly rows: Float32Array
  readonly resolve: (rows: Float32Array) => void
  readonly reject: (error: ClientError) => void
}

/** Why a hop counts as lost that an earlier repair gave up without finding another. */
const GONE = elsewhere("unknown-session", "the hop was given up")

/** Repairs without a row received in between. */
const MOST_REPAIRS = 8

/**
 * Opens a chain; it is closed with the scope.
 */
export const openChain = (tools: RepairTools, options: ChainOptions): Effect.Effect<Chain, ClientError, Scope.Scope> =>
  Effect.gen(function* () {
    const chain = makeChain(tools, options)
    yield* Effect.addFinalizer(() => Effect.promise(chain.close))
    yield* Effect.tryPromise({ try: chain.start, catch: (error) => error as ClientError })
    return chain
  })

const makeChain = (tools: RepairTools, options: ChainOptions) => {
  const { hiddenSize, maxTokens, codec, stallSeconds = 1, stepSeconds = 60 } = options
  const open = { model: tools.model.digest, maxTokens, codec }
  let hops: ReadonlyArray<OpenHop> = []
  let epoch = 0
  let position = 0
  /** Tokens whose outputs have been received. */
  let received = 0
  let pending: Pending | undefined
  let closed = false
  let repairing: Promise<ClientError | undefined> | undefined
  let progressAt = 0
  let repairsInARow = 0
  let recoveries = 0
  let failedAt: number | undefined
  let exact = true
  /** A step failed: what hops and journals hold beyond `position` is to be forgotten. */
  let broken = false
  /** What the next repair takes back. */
  let forgetFrom: number | undefined
  const pauses: Array<number> = []
  const lost = new Map<string, Fault>()
  const leaving = new Set<string>()
  const unlisten = new Map<string, () => void>()

  /** Hops are new: that they work is to be told. */
  let unproven = false
  const report = (peer: string, outcome: Outcome): void => {
    Effect.runFork(tools.router.report(peer, outcome))
  }
  const pace = makePace((peer, seconds) => report(peer, { _tag: "Step", seconds }))

  const fail = (error: ClientError): void => {
    const waiting = pending
    pending = undefined
    pace.dropped()
    broken = true
    waiting?.reject(error)
  }

  const resumed = (): void => {
    if (failedAt === undefined) return
    const pauseMilliseconds = performance.now() - failedAt
    failedAt = undefined
    pauses.push(pauseMilliseconds)
    tools.emit({ _tag: "Resumed", pauseMilliseconds, exact })
  }

  /** Rows of the last hop. Those before `received` are repetitions. */
  const takeOutput = (frame: Extract<Frame, { kind: "output" }>): void => {
    const { position: first, tokens } = frame.body
    if (pending === undefined) return
    const end = first + tokens
    const isNext = pending.want === "all" ? first <= received && end > received : end === pending.end
    if (!isNext || end > pending.end) return
    const rows = decodeRows(frame.body.codec, frame.payload, tokens, hiddenSize)
    if (!rows.every(Number.isFinite)) throw new RangeError("an output holds values that are not finite")
    if (pending.want === "last") pending.rows.set(rows.subarray((tokens - 1) * hiddenSize))
    else pending.rows.set(rows.subarray((received - first) * hiddenSize), (received - pending.start) * hiddenSize)
    received = end
    progressAt = performance.now()
    repairsInARow = 0
    resumed()
    if (received < pending.end) return
    const done = pending
    pending = undefined
    pace.ended(performance.now() / 1000)
    if (unproven) for (const { hop } of hops) report(hop.peer, { _tag: "Ok" })
    unproven = false
    position = done.end
    done.resolve(done.rows)
  }

  const listen = (hop: OpenHop) => (frame: Frame, connection: Connection) => {
    if (connection !== hop.connection) return
    const index = hops.indexOf(hop)
    try {
      if (frame.kind === "output" && index === hops.length - 1) takeOutput(frame)
      else if (frame.kind === "journal") {
        hops[index + 1]?.journal.append({ ...frame.body, payload: frame.payload })
        pace.copied(index, frame.body.position + frame.body.tokens - 1, performance.now() / 1000)
        progressAt = performance.now()
      } else if (frame.kind === "sessionFault") {
        // of a chain that has been repaired since: it may speak of a hop that is gone
        if (frame.body.epoch >= epoch) lose(hop, frame.body.fault)
      } else if (frame.kind === "draining") {
        leaving.add(hop.hop.peer)
        lose(hop, elsewhere("draining", "the server is about to stop"))
      }
    } catch (cause) {
      // the journal's own failures are no server's fault
      if (cause instanceof JournalFull || cause instanceof JournalUnreadable)
        fail(new ComputeFailed({ detail: cause.message, cause }))
      else lose(hop, elsewhere("protocol", `the server sends nonsense: ${String(cause)}`))
    }
  }

  const adopt = (hop: OpenHop): void => {
    unlisten.set(hop.session, tools.links.listen(hop.session, listen(hop)))
    void hop.connection.closed.then((reason) => {
      if (unlisten.has(hop.session)) lose(hop, elsewhere("next-gone", reason.message))
    })
  }
  const drop = (hop: OpenHop): void => {
    unlisten.get(hop.session)?.()
    unlisten.delete(hop.session)
    lost.delete(hop.session)
    if (!hop.connection.isClosed()) void closeHop(hop)
  }

  const lose = (hop: OpenHop, fault: Fault): void => {
    if (closed || !unlisten.has(hop.session) || lost.has(hop.session)) return
    const index = hops.indexOf(hop)
    // rows that a hop refuses came from the hop before it; a fault that names a peer speaks of the hop after
    const next = hops[index + 1]
    if (fault.peer !== undefined && fault.peer !== next?.hop.peer) return
    const blamed = fault.code === "bad-step" ? hops[index - 1] : fault.peer !== undefined ? next : hop
    if (blamed === undefined || (fault.kind === "never" && blamed === hop)) {
      fail(new SessionRefused({ peer: hop.hop.peer, fault }))
      return
    }
    // a gap is the chain's fault and no hop's
    if (fault.code !== "gap") lost.set(blamed.session, fault)
    tools.emit({
      _tag: "FailureSeen",
      peer: blamed.hop.peer,
      blocks: blamed.hop.blocks,
      reason: fault.detail,
      position: received
    })
    if (pending === undefined) return
    failedAt ??= performance.now()
    void mend()
  }

  /** Repairs the chain; all who ask meanwhile share one repair. Gives the error, which whoever waits for rows has got too. */
  const mend = (): Promise<ClientError | undefined> => {
    repairing ??= mendOnce().finally(() => {
      repairing = undefined
      // what was lost meanwhile
      if (pending !== undefined && lost.size > 0) void mend()
    })
    return repairing
  }

  const mendOnce = async (): Promise<ClientError | undefined> => {
    if (++repairsInARow > MOST_REPAIRS) {
      const error = new TooManyFailures({
        attempts: MOST_REPAIRS,
        detail: [...lost.values()].at(-1)?.detail ?? "no progress"
      })
      fail(error)
      return error
    }
    const losing = new Map(lost)
    for (const hop of hops) if (!unlisten.has(hop.session)) losing.set(hop.session, GONE)
    const result = await Effect.runPromise(
      Effect.either(
        repair(tools, {
          open: { ...open, epoch: epoch + 1 },
          hops,
          lost: losing,
          leaving,
          received: () => received,
          forgetFrom,
          want: pending?.want ?? "last",
          adopt,
          drop,
          place: (newHops, newEpoch, isExact) => {
            hops = newHops
            epoch = newEpoch
            exact = isExact
            unproven = true
            pace.dropped()
          },
          stopped: () => closed
        }).pipe(
          // a journal that cannot be read back, a router that throws: the session's failure, not the process's
          Effect.catchAllDefect((cause) =>
            Effect.fail(new ComputeFailed({ detail: cause instanceof Error ? cause.message : String(cause), cause }))
          )
        )
      )
    )
    for (const session of losing.keys()) lost.delete(session)
    progressAt = performance.now()
    if (result._tag === "Left") {
      fail(result.left)
      return result.left
    }
    forgetFrom = undefined
    if (result.right > 0) recoveries++
    return undefined
  }

  /** Asks whether everybody lives when a step does not come back. */
  const watch = async (): Promise<void> => {
    if (pending === undefined || repairing !== undefined) return
    const silent = (performance.now() - progressAt) / 1000
    if (silent < stallSeconds) return
    const asked = hops
    await Promise.all(
      asked.map((hop) => hop.connection.ping(PING_SECONDS).catch((failure: unknown) => lose(hop, faultOf(failure))))
    )
    if (silent >= stepSeconds && pending !== undefined && repairing === undefined) {
      failedAt ??= performance.now()
      progressAt = performance.now()
      void mend()
    }
  }
  let watching = false
  const timer = setInterval(
    () => {
      if (watching) return
      watching = true
      void watch().finally(() => {
        watching = false
      })
    },
    (stallSeconds * 1000) / 4
  )
  timer.unref()

  /** Sends rows to the first hop, journalled first: if the hop is lost on the way, the journal feeds the next one. */
  const send = (x: Float32Array, start: number, want: "all" | "last"): void => {
    const [first] = hops
    if (first === undefined) throw new SessionClosed()
    const tokens = x.length / hiddenSize
    const sent = performance.now()
    let bytes = 0
    if (tokens === 1 && repairing === undefined) pace.started(hops, start, performance.now() / 1000)
    for (let row = 0; row < tokens; row += tools.chunk) {
      const count = Math.min(tools.chunk, tokens - row)
      const rows = encodeRows(codec, x.subarray(row * hiddenSize, (row + count) * hiddenSize), hiddenSize)
      first.journal.append({ position: start + row, tokens: count, ...rows })
      const body = { session: first.session, epoch, position: start + row, tokens: count, codec: rows.codec, want }
      if (repairing !== undefined) continue
      first.connection.notify("step", body, rows.payload)
      bytes += rows.payload.length
    }
    if (bytes >= LEAST_BYTES) void measureLine(first, bytes, sent)
  }

  /** Asks for something that is answered at once, behind a prompt. Its time is no round trip: no ping, which would count as one. */
  const measureLine = async ({ hop, connection }: OpenHop, bytes: number, sent: number): Promise<void> => {
    const roundTrip = connection.roundTrip()
    if (roundTrip === undefined) return
    try {
      await connection.request("status", {}, { timeoutSeconds: 60 })
    } catch {
      return
    }
    const bytesPerSecond = lineRate(bytes, (performance.now() - sent) / 1000, roundTrip)
    if (bytesPerSecond !== undefined) report(hop.peer, { _tag: "Bandwidth", bytesPerSecond })
  }

  /** Takes back everything from `to` on; the next repair makes the hops do so. */
  const forget = (to: number): void => {
    position = to
    received = to
    forgetFrom = Math.min(forgetFrom ?? to, to)
  }

  const forward: Chain["forward"] = async (x, want) => {
    const tokens = x.length / hiddenSize
    if (closed) throw new SessionClosed()
    if (!Number.isInteger(tokens) || tokens < 1)
      throw new ComputeFailed({ detail: `${x.length} values are no rows of ${hiddenSize}` })
    if (position + tokens > maxTokens) throw new ContextExceeded({ tokens: position + tokens, limit: maxTokens })
    if (pending !== undefined) throw new ComputeFailed({ detail: "one step at a time: the former one has not ended" })
    const start = position
    return new Promise<Float32Array>((resolve, reject) => {
      const rows = new Float32Array(want === "all" ? x.length : hiddenSize)
      pending = { start, end: start + tokens, want, rows, resolve, reject }
      received = start
      progressAt = performance.now()
      repairsInARow = 0
      const go = async () => {
        await repairing
        if (broken) forget(start)
        if (lost.size > 0 || broken) {
          failedAt ??= performance.now()
          if ((await mend()) !== undefined) return
          broken = false
        }
        if (pending !== undefined) send(x, start, want)
      }
      go().catch((cause: unknown) =>
        fail(cause instanceof SessionClosed ? cause : new ComputeFailed({ detail: String(cause), cause }))
      )
    })
  }

  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    clearInterval(timer)
    fail(new SessionClosed())
    await repairing
    const ending = hops.map((hop) => (hop.connection.isClosed() ? undefined : closeHop(hop)))
    for (const hop of hops) {
      unlisten.get(hop.session)?.()
      unlisten.delete(hop.session)
      hop.journal.close()
    }
    await Promise.all(ending)
  }

  return {
    start: async () => {
      const opening = new Promise<void>((resolve, reject) => {
        pending = { start: 0, end: 0, want: "last", rows: new Float32Array(0), resolve: () => resolve(), reject }
        void mend().then(() => resolve())
      })
      await opening
      pending = undefined
      tools.emit({ _tag: "Opened", hops: hops.map(({ hop }) => hop) })
    },
    position: () => position,
    maxTokens,
    forward,
    truncate: async (to: number) => {
      if (to >= position) return
      await repairing
      forget(to)
      const error = await mend()
      if (error !== undefined) throw error
    },
    close,
    route: () => hops.map(({ hop }) => hop),
    recoveries: () => recoveries,
    pauses: () => pauses
  }
}
