/**
 * Measures what a span can do, before it says so to others.
 * @module
 */
import { probeRows, type Span } from "@swarm/compute"

/** Tokens per second through one block. */
export interface Rates {
  readonly decodeRate: number
  readonly prefillRate: number
}

const DECODE_STEPS = 8
const PREFILL_TOKENS = 64

/** Times single tokens and one chunk of a prompt on the span itself. Takes about the time of 80 tokens. */
export const measureRates = async (span: Span): Promise<Rates> => {
  const blocks = span.to - span.from
  const kv = span.open(PREFILL_TOKENS + DECODE_STEPS + 1)
  try {
    const token = probeRows(1, span.hiddenSize)
    const prompt = probeRows(PREFILL_TOKENS, span.hiddenSize)
    await span.run([{ kv, position: 0, tokens: 1 }], token)
    const prefill = await seconds(() => span.run([{ kv, position: 0, tokens: PREFILL_TOKENS }], prompt))
    let decode = Number.POSITIVE_INFINITY
    for (let step = 0; step < DECODE_STEPS; step++) {
      // the best of several: what else the machine does is not the span's rate
      decode = Math.min(
        decode,
        await seconds(() => span.run([{ kv, position: PREFILL_TOKENS + step, tokens: 1 }], token))
      )
    }
    return { decodeRate: blocks / decode, prefillRate: (blocks * PREFILL_TOKENS) / prefill }
  } finally {
    kv.free()
  }
}

const seconds = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await run()
  return Math.max(1e-6, (performance.now() - start) / 1000)
}
