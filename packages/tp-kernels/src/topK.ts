/**
 * AllReduce of the greatest values only, with error feedback.
 * @module
 */
import type { Communicator } from "./Communicator.ts"

/** The state of one vector that is summed again and again. */
export interface TopK {
  /** Values sent by each rank, 1 .. n. */
  readonly k: number
  /** f32 (n): what this rank has held back so far; it is added to its next contribution. */
  readonly residual: Float32Array
}

/** A fresh state for vectors of `length`. Throws `RangeError` if k is not in 1 .. length. */
export const topK = (length: number, k: number): TopK => {
  if (!Number.isInteger(k) || k < 1 || k > length) throw new RangeError(`Cannot keep ${k} of ${length} values`)
  return { k, residual: new Float32Array(length) }
}

/** Positions of the k greatest magnitudes, ascending; of equals the first. NaN counts as the greatest. */
const greatest = (x: Float32Array, k: number): Uint32Array => {
  const magnitude = (at: number): number => {
    const value = Math.abs(x[at]!)
    return Number.isNaN(value) ? Number.POSITIVE_INFINITY : value
  }
  const order = Uint32Array.from(x, (_, at) => at).sort((a, b) => magnitude(b) - magnitude(a) || a - b)
  return order.subarray(0, k).sort()
}

const VALUE = 8

/**
 * Sums over all ranks the k greatest of each rank's `x + residual`, and keeps the rest in the residual; in place, `x`
 * becomes the sum. One round, 8k bytes to each other rank; all ranks end with the same bits.
 *
 * Over t calls on one state the results add up to the exact total less the residuals left (to f32 rounding), and a
 * residual is at most (1 - k/n) of the squared norm of what was to be sent. That serves quantities that are summed
 * anew each time, such as gradients. In inference each sum belongs to other tokens: a residual there is an error of one
 * token that lands in the next, so use `allReduce` with a codec instead. Rejects with `RankLost`.
 */
export const allReduceTopK = (group: Communicator, x: Float32Array, state: TopK): Promise<Float32Array> => {
  const { k, residual } = state
  if (x.length !== residual.length)
    throw new RangeError(`Cannot sum ${x.length} values with a state of ${residual.length}`)
  return group.exclusive(async () => {
    for (let i = 0; i < x.length; i++) residual[i]! += x[i]!
    const kept = greatest(residual, k)
    const payload = new Uint8Array(VALUE * k)
    const view = new DataView(payload.buffer)
    kept.forEach((at, i) => {
      view.setUint32(VALUE * i, at, true)
      view.setFloat32(VALUE * i + 4, residual[at]!, true)
      residual[at] = 0
    })
    group.step()
    const others = Array.from({ length: group.size }, (_, rank) => rank).filter((rank) => rank !== group.rank)
    const sent = Promise.allSettled(others.map((rank) => group.send(rank, 0, payload)))
    const payloads: Array<Uint8Array> = []
    for (let rank = 0; rank < group.size; rank++) {
      payloads.push(rank === group.rank ? payload : (await group.receive(rank)).payload)
    }
    for (const result of await sent) if (result.status === "rejected") throw result.reason
    x.fill(0)
    payloads.forEach((bytes, rank) => {
      if (bytes.length !== payload.length) throw group.fault(rank, "desync")
      const values = new DataView(bytes.buffer, bytes.byteOffset)
      for (let i = 0; i < k; i++) {
        const at = values.getUint32(VALUE * i, true)
        if (at >= x.length) throw group.fault(rank, "desync")
        x[at]! += values.getFloat32(VALUE * i + 4, true)
      }
    })
    return x
  })
}
