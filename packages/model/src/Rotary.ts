/**
 * Tables of rotary position embeddings.
 * @see {@link https://arxiv.org/abs/2104.09864} RoFormer, section 3.2
 * @see {@link https://arxiv.org/abs/2309.00071} YaRN, sections 3.1 to 3.4
 * @module
 */
import type { Rotary, RotaryScaling } from "./Architecture.ts"

/** Cosine and sine of every angle, both f32 (positions, dims / 2), scaled by the attention factor. */
export interface RotaryTables {
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** Angle per position of each pair of dimensions: f64 (dims / 2). */
export const rotaryFrequencies = ({ base, dims, scaling }: Rotary): Float64Array => {
  const plain = Float64Array.from({ length: dims / 2 }, (_, i) => base ** ((-2 * i) / dims))
  return scaling === undefined ? plain : plain.map((frequency, i) => stretch(frequency, i, base, dims, scaling))
}

/** Factor of cos and sin, and so of the scores squared. */
export const rotaryAttentionFactor = ({ scaling }: Rotary): number =>
  scaling?.kind === "yarn" || scaling?.kind === "factors" ? (scaling.attentionFactor ?? 1) : 1

/** The tables of positions 0 to `positions` - 1. Fresh; O(positions x dims), in f64 before the last rounding. */
export const rotaryTables = (rotary: Rotary, positions: number): RotaryTables => {
  const frequencies = rotaryFrequencies(rotary)
  const factor = rotaryAttentionFactor(rotary)
  const width = frequencies.length
  const cos = new Float32Array(positions * width)
  const sin = new Float32Array(positions * width)
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < width; i++) {
      const angle = p * frequencies[i]!
      cos[p * width + i] = factor * Math.cos(angle)
      sin[p * width + i] = factor * Math.sin(angle)
    }
  }
  return { cos, sin }
}

const stretch = (frequency: number, i: number, base: number, dims: number, scaling: RotaryScaling): number => {
  switch (scaling.kind) {
    case "linear":
      return frequency / scaling.factor
    case "factors":
      return frequency / (scaling.factors[i] ?? 1)
    case "llama3": {
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling
      const turns = (originalContext * frequency) / (2 * Math.PI)
      if (turns < low) return frequency / factor
      if (turns > high) return frequency
      const smooth = (turns - low) / (high - low)
      return ((1 - smooth) * frequency) / factor + smooth * frequency
    }
    case "yarn": {
      const { factor, originalContext, betaFast, betaSlow, truncate } = scaling
      // the dimension whose pair turns `rotations` times within the original context
      const dimension = (rotations: number) =>
        (dims * Math.log(originalContext / (rotations * 2 * Math.PI))) / (2 * Math.log(base))
      const low = Math.max(truncate ? Math.floor(dimension(betaFast)) : dimension(betaFast), 0)
      const high = Math.min(truncate ? Math.ceil(dimension(betaSlow)) : dimension(betaSlow), dims - 1)
      const ramp = Math.min(Math.max((i - low) / (high === low ? 0.001 : high - low), 0), 1)
      return (frequency / factor) * ramp + frequency * (1 - ramp)
    }
  }
}
