/**
 * The choice of scale, zero point and codes for one block of weights.
 *
 * For codes c (relative to the zero point) the best scale in least squares is Σwc / Σc², and what it explains of the
 * squared weights is (Σwc)² / Σc²: of several roundings, the one that explains most has the least error.
 * @module
 */

/** Result of a fit: weight = scale * (code - zero). */
export interface BlockFit {
  scale: number
  zero: number
}

/** Codes of w[from, end) are written to `codes` from 0. */
export type FitBlock = (
  w: Float32Array,
  from: number,
  end: number,
  bits: 4 | 8,
  codes: Uint8Array,
  fit: BlockFit
) => void

/** Rounds a double under 2^51 to an integer, ties to even, when added and subtracted. */
const ROUND = 1.5 * 2 ** 52

/**
 * Greatest magnitude over step, of the steps that are tried in 4 bits. At 8 the greatest weight takes the outermost code;
 * below, it gets a finer rounding of the sum; above, it is clipped and the others get smaller steps.
 */
const SPANS_4 = [7.2, 8, 8.8, 9.7]
/** Part of the range that the codes cover, of the steps that are tried in 4 bits. */
const PARTS_4 = [1.04, 1, 0.92, 0.84]

/** Sums over a block of w c and c c for c = w / step rounded and clamped to [low, high]. */
const sums = { wc: 0, cc: 0 }
const tryStep = (w: Float32Array, from: number, end: number, step: number, low: number, high: number): number => {
  const inverse = 1 / step
  let wc = 0
  let cc = 0
  for (let i = from; i < end; i++) {
    const x = w[i]!
    let c = x * inverse + ROUND - ROUND
    // Branches that are seldom taken: half the time of Math.min and Math.max.
    if (c > high) c = high
    else if (c < low) c = low
    wc += x * c
    cc += c * c
  }
  sums.wc = wc
  sums.cc = cc
  return cc === 0 ? 0 : (wc * wc) / cc
}

const writeCodes = (
  w: Float32Array,
  from: number,
  end: number,
  step: number,
  zero: number,
  most: number,
  codes: Uint8Array
): void => {
  const inverse = 1 / step
  for (let i = from; i < end; i++) {
    let code = w[i]! * inverse + ROUND - ROUND + zero
    if (code > most) code = most
    else if (code < 0) code = 0
    codes[i - from] = code
  }
}

/** Zero point in the middle of the codes. In 4 bits the scale has the sign that gives the greatest weight the code 0. */
export const fitSymmetric: FitBlock = (w, from, end, bits, codes, fit) => {
  let extreme = 0
  for (let i = from; i < end; i++) if (Math.abs(w[i]!) > Math.abs(extreme)) extreme = w[i]!
  const zero = 1 << (bits - 1)
  fit.zero = zero
  fit.scale = 0
  if (extreme === 0) {
    codes.fill(zero, 0, end - from)
    return
  }
  let step = Math.abs(extreme) / 127
  if (bits === 8) fit.scale = step
  else {
    let most = -1
    for (const span of SPANS_4) {
      const candidate = -extreme / span
      const explained = tryStep(w, from, end, candidate, -zero, zero - 1)
      if (explained > most) {
        most = explained
        step = candidate
        fit.scale = sums.wc / sums.cc
      }
    }
  }
  writeCodes(w, from, end, step, zero, 2 * zero - 1, codes)
}

/** Zero point where the range of the block, widened to include 0, puts it. */
export const fitRange: FitBlock = (w, from, end, bits, codes, fit) => {
  let least = 0
  let greatest = 0
  for (let i = from; i < end; i++) {
    const x = w[i]!
    if (x < least) least = x
    if (x > greatest) greatest = x
  }
  const most = (1 << bits) - 1
  fit.zero = 0
  fit.scale = 0
  if (least === greatest) {
    codes.fill(0, 0, end - from)
    return
  }
  const full = (greatest - least) / most
  const zero = Math.round(-least / full)
  fit.zero = zero
  let step = full
  if (bits === 8) fit.scale = full
  else {
    let best = -1
    for (const part of PARTS_4) {
      const explained = tryStep(w, from, end, full * part, -zero, most - zero)
      if (explained > best) {
        best = explained
        step = full * part
        fit.scale = sums.wc / sums.cc
      }
    }
  }
  writeCodes(w, from, end, step, zero, most, codes)
}
