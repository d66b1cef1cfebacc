/**
 * Finding the likeliest tokens in time that is linear in the vocabulary. Internal to sampling.
 * @module
 */

/** The index among the first `count` weights at which their sum exceeds `target`; never one without weight. */
export const pick = (weights: Float64Array, count: number, target: number): number => {
  let left = target
  let last = 0
  for (let i = 0; i < count; i++) {
    const weight = weights[i]!
    if (weight === 0) continue
    last = i
    left -= weight
    if (left < 0) break
  }
  return last
}

/** Steps per unit of logit over temperature: the raster of the exponential and of the search for a nucleus. */
export const STEPS = 64
/** The last bucket takes all tokens e^64 times less likely than the likeliest, and less. */
const BUCKETS = 64 * STEPS
const exponentials = Float64Array.from({ length: BUCKETS }, (_, step) => Math.exp(-step / STEPS))
const mass = new Float64Array(BUCKETS)

/**
 * exp(-distance / STEPS) for a distance >= 0, with a relative error under 1e-15: a table and the Taylor series of the rest.
 * Several times as fast as `Math.exp`, which is most of the work otherwise.
 */
export const decay = (distance: number): number => {
  if (!(distance < BUCKETS - 1)) return Math.exp(-distance / STEPS)
  const step = distance | 0
  const r = (distance - step) * (1 / STEPS)
  const series =
    1 - r * (1 - r * (1 / 2) * (1 - r * (1 / 3) * (1 - r * (1 / 4) * (1 - r * (1 / 5) * (1 - r * (1 / 6))))))
  return exponentials[step]! * series
}

/**
 * Sets the weights of all tokens to 0 but the fewest that weigh `enough` together; returns what these weigh. Among equals
 * the lowest id comes first. O(vocab), as only the tokens of the bucket at the boundary are sorted; `ids` is scratch.
 */
export const keepNucleus = (
  scores: Float32Array,
  weights: Float64Array,
  max: number,
  scale: number,
  enough: number,
  ids: Int32Array
): number => {
  mass.fill(0)
  for (let id = 0; id < scores.length; id++) {
    const distance = (max - scores[id]!) * scale
    const bucket = distance < BUCKETS - 1 ? distance | 0 : BUCKETS - 1
    ids[id] = bucket
    mass[bucket]! += weights[id]!
  }
  let sum = 0
  let boundary = 0
  while (boundary < BUCKETS - 1 && sum + mass[boundary]! < enough) sum += mass[boundary++]!
  let count = 0
  for (let id = 0; id < scores.length; id++) {
    const bucket = ids[id]!
    if (bucket === boundary) ids[count++] = id
    else if (bucket > boundary) weights[id] = 0
  }
  const candidates = ids.subarray(0, count).sort((a, b) => scores[b]! - scores[a]! || a - b)
  for (const id of candidates) {
    if (sum < enough) sum += weights[id]!
    else weights[id] = 0
  }
  return sum
}

/**
 * The `wanted` greatest scores: their ids to the start of `out`, greatest first, among equals the lowest id first.
 * Returns how many. O(n + wanted log wanted) where few beat the worst one kept so far, else O(n log wanted).
 */
export const selectBest = (scores: Float32Array, wanted: number, out: Int32Array): number => {
  const count = Math.min(wanted, scores.length)
  // a heap with the worst on top
  const worse = (a: number, b: number): boolean => scores[a]! < scores[b]! || (scores[a] === scores[b] && a > b)
  const sink = (from: number): void => {
    const id = out[from]!
    let i = from
    for (let child = 2 * i + 1; child < count; child = 2 * i + 1) {
      if (child + 1 < count && worse(out[child + 1]!, out[child]!)) child++
      if (!worse(out[child]!, id)) break
      out[i] = out[child]!
      i = child
    }
    out[i] = id
  }
  for (let i = 0; i < count; i++) out[i] = i
  for (let i = (count >> 1) - 1; i >= 0; i--) sink(i)
  for (let id = count; id < scores.length; id++) {
    // an equal score has the greater id, so it is worse
    if (scores[id]! > scores[out[0]!]!) {
      out[0] = id
      sink(0)
    }
  }
  out.subarray(0, count).sort((a, b) => (worse(a, b) ? 1 : -1))
  return count
}
