/**
 * A fixed forward pass at start: proves that a span computes, fingerprints its results, and checks reproducibility.
 * @module
 */
import { createHash } from "node:crypto"
import type { Span } from "./Span.ts"

/** Rows of the probe. Enough that attention, chunking and batching all take part. */
const ROWS = 12

export type ProbeResult =
  | { readonly _tag: "Sound"; readonly digest: string; readonly reproducible: boolean }
  | { readonly _tag: "Broken"; readonly detail: string }

/**
 * Runs fixed pseudo-random rows through the span, at once and again cut into other chunks. Equal digests mean equal
 * weights, kernels and arithmetic, hence bit-equal continuations. Costs about 40 rows.
 */
export const probe = async (span: Span): Promise<ProbeResult> => {
  const x = probeRows(ROWS, span.hiddenSize)
  const whole = await inChunks(span, x, [ROWS])
  if (!whole.every(Number.isFinite)) return { _tag: "Broken", detail: "a probe gave values that are not finite" }
  if (whole.every((value) => value === 0)) return { _tag: "Broken", detail: "a probe gave nothing but zeros" }
  // rows of an encoder depend on all others of their text: only runs that are the same can be compared
  const cut = await inChunks(span, x, span.encoder ? [ROWS] : [5, 1, 3, 1, 2])
  return { _tag: "Sound", digest: fingerprint(whole), reproducible: equalBits(whole, cut) }
}

/** 16 hexadecimal digits that differ when a bit of the values does. */
const fingerprint = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  createHash("sha256")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("hex")
    .slice(0, 16)

const inChunks = async (span: Span, x: Float32Array, chunks: ReadonlyArray<number>): Promise<Float32Array> => {
  const kv = span.open(ROWS)
  try {
    const y = new Float32Array(x.length)
    let position = 0
    for (const tokens of chunks) {
      const rows = x.slice(position * span.hiddenSize, (position + tokens) * span.hiddenSize)
      y.set(await span.run([{ kv, position, tokens }], rows), position * span.hiddenSize)
      position += tokens
    }
    return y
  } finally {
    kv.free()
  }
}

/** Uniform values in [-1, 1) from a fixed xorshift32 sequence (Marsaglia 2003): the same on every machine. */
export const probeRows = (rows: number, hiddenSize: number): Float32Array => {
  const x = new Float32Array(rows * hiddenSize)
  let state = 2463534242
  for (let i = 0; i < x.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    x[i] = (state >>> 8) / 2 ** 23 - 1
  }
  return x
}

const equalBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength))
