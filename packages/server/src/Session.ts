/**
 * A session at one hop: what it has computed, what waits, where its output goes.
 *
 * Inputs are named by position, so a step that comes twice is harmless and one that leaves a gap is seen
 * (docs/architecture.md, "A step").
 * @module
 */
import type { Reservation } from "@swarm/cache"
import type { KvSlot } from "@swarm/compute"
import { elsewhere, type Fault, type Link, never, type Open, type Step, type WireCodec } from "@swarm/protocol"
import type { Connection } from "@swarm/transport"

/** Rows to compute: f32 (tokens, hidden) from `position` on. */
export interface Work {
  readonly position: number
  readonly tokens: number
  readonly x: Float32Array
  readonly want: Step["want"]
  /** When it came, in milliseconds of the process's monotonic clock. */
  readonly since: number
}

export interface Session {
  readonly name: string
  /** The client's connection: faults, outputs and journal copies go there; the session ends with it. */
  readonly owner: Connection
  readonly kv: KvSlot
  readonly reservation: Reservation
  readonly codec: WireCodec
  readonly epoch: () => number
  readonly link: () => Link
  /** The connection to the next server; undefined if the output goes to the client. */
  readonly nextConnection: () => Connection | undefined
  /** Tokens in the KV cache. */
  readonly position: () => number
  /** Takes a step in. `decode` is called only if rows of it are new. */
  readonly accept: (step: Step, decode: () => Float32Array | Fault, now: number) => Fault | undefined
  /** Tokens of the first waiting piece; 0 if nothing waits or a run is under way. */
  readonly ready: () => number
  /** Age of the first waiting piece in milliseconds. */
  readonly waited: (now: number) => number
  /** Takes at most `tokens` waiting tokens out for a run, ended by `finish`. */
  readonly take: (tokens: number) => Work | undefined
  /** Ends a run: `tokens` were computed (0: it failed). False if the session was closed meanwhile. */
  readonly finish: (tokens: number) => boolean
  /** Drops what waits and frames of older epochs; settles with the position once no run is under way. */
  readonly hold: (epoch: number) => Promise<number>
  readonly relink: (epoch: number, link: Link, keep: number, next: Connection | undefined) => void
  readonly isClosed: () => boolean
  readonly close: () => void
}

export const makeSession = (
  open: Open,
  owner: Connection,
  kv: KvSlot,
  reservation: Reservation,
  hiddenSize: number,
  next: Connection | undefined
): Session => {
  let epoch = open.epoch
  let link: Link = open
  let nextConnection = next
  let position = 0
  let running = 0
  let waiting: Array<Work> = []
  let closed = false
  let whenIdle: Array<() => void> = []

  /** First position that has not been taken in yet. */
  const expected = (): number => {
    const last = waiting.at(-1)
    return last === undefined ? position + running : last.position + last.tokens
  }
  const idle = (): Promise<void> =>
    running === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve))

  return {
    name: open.session,
    owner,
    kv,
    reservation,
    codec: open.codec,
    epoch: () => epoch,
    link: () => link,
    nextConnection: () => nextConnection,
    position: () => position,
    accept: (step, decode, now) => {
      if (step.epoch !== epoch) return undefined
      const from = expected()
      const end = step.position + step.tokens
      if (end <= from) return undefined
      if (step.position > from) {
        return elsewhere("gap", `a step starts at ${step.position} where ${from} is next`, { position: from })
      }
      if (end > open.maxTokens)
        return never("too-long", `the session was opened for ${open.maxTokens} tokens, not ${end}`)
      const x = decode()
      if (!(x instanceof Float32Array)) return x
      const rows = from - step.position
      waiting.push({
        position: from,
        tokens: end - from,
        x: x.subarray(rows * hiddenSize),
        want: step.want,
        since: now
      })
      return undefined
    },
    ready: () => (running > 0 ? 0 : (waiting[0]?.tokens ?? 0)),
    waited: (now) => (waiting[0] === undefined ? 0 : now - waiting[0].since),
    take: (tokens) => {
      const first = waiting[0]
      if (first === undefined || running > 0) return undefined
      if (first.tokens <= tokens) {
        waiting.shift()
        running = first.tokens
        return first
      }
      waiting[0] = {
        ...first,
        position: first.position + tokens,
        tokens: first.tokens - tokens,
        x: first.x.subarray(tokens * hiddenSize)
      }
      running = tokens
      return { ...first, tokens, x: first.x.subarray(0, tokens * hiddenSize) }
    },
    finish: (tokens) => {
      position += tokens
      running = 0
      const resumed = whenIdle
      whenIdle = []
      for (const resume of resumed) resume()
      return !closed
    },
    hold: async (newEpoch) => {
      epoch = newEpoch
      waiting = []
      await idle()
      return position
    },
    relink: (newEpoch, newLink, keep, connection) => {
      epoch = newEpoch
      link = newLink
      nextConnection = connection
      waiting = []
      position = Math.min(position, keep)
    },
    isClosed: () => closed,
    close: () => {
      closed = true
      waiting = []
      kv.free()
    }
  }
}
