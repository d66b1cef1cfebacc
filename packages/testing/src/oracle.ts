/**
 * The position oracle: a span without weights whose output tells which inputs it has seen, at which positions.
 *
 * A row that is lost, repeated, reordered, stale, or computed over a wrong cache changes every later output, so a chain
 * of oracles behind any transport equals a chain in one process, or something went wrong.
 * @module
 */
import type { Head, KvSlot, Span, SpanStep } from "@swarm/compute"

/** Outputs are integers below this prime, which f16 holds exactly. */
const PRIME = 1021

export interface OracleOptions {
  readonly from: number
  readonly to: number
  /** @default 64 */
  readonly hiddenSize?: number
  /** Called before each run; may delay or fail it. */
  readonly before?: (steps: ReadonlyArray<SpanStep>) => Promise<void> | void
  /** Makes spans whose results differ, as another kind of processor would. @default 0 */
  readonly flavour?: number
}

interface OracleSlot extends KvSlot {
  /** Running sums of what was written: `seen[p]` covers positions 0..p. */
  readonly seen: Array<number>
}

/** A span for tests. `opened` counts the KV slots in use. */
export interface OracleSpan extends Span {
  readonly opened: () => number
  /** Steps of each run so far: how batches were formed. */
  readonly runs: ReadonlyArray<number>
}

export const oracleSpan = ({ from, to, hiddenSize = 64, before, flavour = 0 }: OracleOptions): OracleSpan => {
  let opened = 0
  const runs: Array<number> = []

  const row = (slot: OracleSlot, position: number, x: Float32Array, y: Float32Array): void => {
    const past = position === 0 ? 0 : slot.seen[position - 1]
    if (past === undefined) throw new Error(`position ${position} follows ${slot.seen.length} tokens`)
    slot.seen.length = position
    slot.seen.push((past + (x[0] ?? 0) * (position + 1)) % PRIME)
    const sum = slot.seen[position] ?? 0
    for (let i = 0; i < x.length; i++) {
      y[i] = ((x[i] ?? 0) * 31 + sum * 7 + (from + 1) * 13 + to * 17 + position + i + flavour) % PRIME
    }
  }

  return {
    from,
    to,
    hiddenSize,
    maxSessions: 8,
    reproducible: true,
    weightBytes: 0,
    kvBytesPerToken: 64,
    digest: `oracle-${from}-${to}-${flavour}`,
    open: (capacity) => {
      opened++
      let open = true
      const slot: OracleSlot = {
        capacity,
        seen: [],
        free: () => {
          if (open) opened--
          open = false
        }
      }
      return slot
    },
    run: async (steps, x) => {
      await before?.(steps)
      runs.push(steps.length)
      const y = new Float32Array(x.length)
      let at = 0
      for (const step of steps) {
        const slot = step.kv as OracleSlot
        for (let token = 0; token < step.tokens; token++, at += hiddenSize) {
          row(slot, step.position + token, x.subarray(at, at + hiddenSize), y.subarray(at, at + hiddenSize))
        }
      }
      return y
    },
    opened: () => opened,
    runs
  }
}

/** A head for oracles: ids are embedded as themselves, the logits say which value came back. */
export const oracleHead = (hiddenSize = 64): Head => ({
  hiddenSize,
  vocabSize: PRIME,
  embed: (ids) => {
    const x = new Float32Array(ids.length * hiddenSize)
    ids.forEach((id, token) => {
      for (let i = 0; i < hiddenSize; i++) x[token * hiddenSize + i] = (id + i) % PRIME
    })
    return x
  },
  logits: async (x) => {
    const rows = x.length / hiddenSize
    const out = new Float32Array(rows * PRIME)
    for (let token = 0; token < rows; token++) out[token * PRIME + ((x[token * hiddenSize] ?? 0) % PRIME)] = 1
    return out
  }
})
