/**
 * The greatest values only, with error feedback: what is held back is added to what comes next.
 * @module
 */

/** The sender's state of one vector that is sent again and again. */
export interface TopK {
  /** Values of a message, 1 .. n. */
  readonly k: number
  /** f32 (n): what has been held back so far. */
  readonly residual: Float32Array
}

/** Bytes of a value: u32 position, f32 value, little-endian. */
const VALUE = 8

/** A fresh state for vectors of `length`. Throws `RangeError` if k is not in 1 .. length. */
export const topK = (length: number, k: number): TopK => {
  if (!Number.isInteger(k) || k < 1 || k > length) throw new RangeError(`Cannot keep ${k} of ${length} values`)
  return { k, residual: new Float32Array(length) }
}

/** Bytes of a message of k values. */
export const topKBytes = (k: number): number => VALUE * k

/** Digits that magnitudes are sorted by, the highest first: shift and bits of each. */
const DIGITS = [
  [20, 11],
  [10, 10],
  [0, 10]
] as const
const histogram = new Uint32Array(2048)

/** Finds the k-th greatest magnitude, as a bit pattern, and how many of those equal to it are among the k. */
const select = (words: Uint32Array, k: number): readonly [threshold: number, equals: number] => {
  let prefix = 0
  let above = 31
  let wanted = k
  for (const [shift, bits] of DIGITS) {
    histogram.fill(0)
    for (let i = 0; i < words.length; i++) {
      const magnitude = words[i]! & 0x7fffffff
      if (above === 31 || magnitude >>> above === prefix) histogram[(magnitude >>> shift) & ((1 << bits) - 1)]!++
    }
    let digit = (1 << bits) - 1
    while (histogram[digit]! < wanted) wanted -= histogram[digit--]!
    prefix = (prefix << bits) | digit
    above = shift
  }
  return [prefix, wanted]
}

/**
 * Adds x: f32 (n) to the residual, writes its k greatest magnitudes to `out` (at least `topKBytes(k)` long) in ascending
 * order of position, and keeps the rest. Of equals the first ones go; NaN and infinities count as the greatest.
 *
 * Over t calls the messages add up to the total of x less the residual (to f32 rounding), and a residual has at most
 * (1 - k / n) of the squared norm of what was to be sent. That serves quantities that are summed anew each time, such as
 * gradients. In inference each vector belongs to another token: a residual there is an error of one token that lands in
 * the next, so activations go through a `codec` instead.
 *
 * Throws `RangeError` for lengths that do not fit. O(n), allocates nothing but views.
 */
export const encodeTopK = ({ k, residual }: TopK, x: Float32Array, out: Uint8Array): void => {
  if (x.length !== residual.length) {
    throw new RangeError(`Cannot send ${x.length} values with a state of ${residual.length}`)
  }
  if (out.length < topKBytes(k))
    throw new RangeError(`${k} values take ${topKBytes(k)} bytes: only ${out.length} are free`)
  for (let i = 0; i < x.length; i++) residual[i]! += x[i]!
  const words = new Uint32Array(residual.buffer, residual.byteOffset, residual.length)
  const [threshold, equals] = select(words, k)
  const view = new DataView(out.buffer, out.byteOffset)
  let left = equals
  let at = 0
  for (let i = 0; i < words.length; i++) {
    const magnitude = words[i]! & 0x7fffffff
    if (magnitude < threshold || (magnitude === threshold && left-- <= 0)) continue
    view.setUint32(at, i, true)
    view.setUint32(at + 4, words[i]!, true)
    words[i] = 0
    at += VALUE
  }
}

/**
 * Adds the values of a message to x: f32 (n), in place. Throws `RangeError`, with `x` as it was, if the length is not
 * that of whole values or a position is not under n.
 */
export const addTopK = (data: Uint8Array, x: Float32Array): void => {
  if (data.length % VALUE !== 0) throw new RangeError(`${data.length} bytes are not whole values of ${VALUE}`)
  const view = new DataView(data.buffer, data.byteOffset)
  for (let at = 0; at < data.length; at += VALUE) {
    const position = view.getUint32(at, true)
    if (position >= x.length) throw new RangeError(`Position ${position} is beyond ${x.length} values`)
  }
  for (let at = 0; at < data.length; at += VALUE) x[view.getUint32(at, true)]! += view.getFloat32(at + 4, true)
}
