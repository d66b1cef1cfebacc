/**
 * Choosing the next token from logits.
 *
 * Order of operations, that of transformers (`GenerationMixin._get_logits_processor`): repetition penalty, frequency and
 * presence penalties, temperature, top-k, top-p among what top-k left, min-p, draw. (llama.cpp applies the temperature last.)
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/generation/logits_process.py
 * @see https://github.com/ggml-org/llama.cpp/blob/master/src/llama-sampler.cpp for the frequency and presence penalties
 * @module
 */
import { makeRandom } from "./random.ts"
import { decay, keepNucleus, pick, STEPS, selectBest } from "./selection.ts"

/** How to choose. The default of each option leaves it without effect; all together are greedy. */
export interface SamplingOptions {
  /** Divides the logits, >= 0. At 0 the greatest logit wins, among equals the lowest id. @default 0 */
  readonly temperature?: number
  /** Only the so many most likely tokens, an integer >= 0; 0 is all. @default 0 */
  readonly topK?: number
  /** Only the fewest tokens that have this share of the probability together, in (0, 1]. @default 1 */
  readonly topP?: number
  /** Only tokens at least this share as likely as the likeliest, in [0, 1). @default 0 */
  readonly minP?: number
  /** Tokens of the history: positive logits are divided, others multiplied; > 0, above 1 discourages. @default 1 */
  readonly repetitionPenalty?: number
  /** Taken off a logit for each time its token is in the history. @default 0 */
  readonly frequencyPenalty?: number
  /** Taken off a logit if its token is in the history at all. @default 0 */
  readonly presencePenalty?: number
  /** How many tokens of the end of the history the penalties look at. @default Infinity */
  readonly penaltyWindow?: number
  /** Integer from 0 to 2^32 - 1; equal seeds give equal tokens for equal logits. @default by chance */
  readonly seed?: number
}

/** One generation's sampler: it holds the state of the random numbers and a scratch buffer. */
export interface Sampler {
  /**
   * logits: f32 (vocab), borrowed and unchanged; history: ids so far, prompt included -> id.
   * Throws `LogitsError`. O(vocab); the scratch buffers are kept.
   */
  readonly next: (logits: Float32Array, history: ReadonlyArray<number>) => number
}

/** The logits are no distribution: not a number, infinite, or no token is possible. *Never*: whoever computed them is broken. */
export class LogitsError extends Error {
  readonly _tag = "LogitsError"

  constructor(detail: string) {
    super(`Cannot sample: ${detail}`)
    this.name = "LogitsError"
  }
}

/**
 * Makes a sampler. Throws `RangeError` for an option out of its range.
 *
 * @example Sample with a seed
 * ```ts
 * import { makeSampler } from "@swarm/client"
 *
 * const sampler = makeSampler({ temperature: 0.8, topP: 0.95, seed: 7 })
 * sampler.next(Float32Array.of(0.1, 3, 2.5), []) // 1 or 2
 * ```
 */
export const makeSampler = (options: SamplingOptions = {}): Sampler => {
  const settings = check(options)
  const { temperature, topK, topP, minP } = settings
  const random = makeRandom(settings.seed)
  // bounded, so that a distance of 0 stays 0 at the least temperature
  const scale = Math.min(STEPS / temperature, Number.MAX_VALUE)
  let scores = new Float32Array(0)
  let weights = new Float64Array(0)
  let ids = new Int32Array(0)

  /** Draws among the `topK` best, of which top-p and min-p may cut off the end. */
  const drawFromBest = (max: number): number => {
    const count = selectBest(scores, topK, ids)
    let total = 0
    for (let i = 0; i < count; i++) total += weights[i] = decay((max - scores[ids[i]!]!) * scale)
    const enough = topP * total
    let kept = 0
    let sum = 0
    while (kept < count && (kept === 0 || (sum < enough && weights[kept]! >= minP))) sum += weights[kept++]!
    return ids[pick(weights, kept, random() * sum)]!
  }

  /** Draws among all tokens, without sorting them. */
  const drawFromAll = (max: number): number => {
    const vocab = scores.length
    let sum = 0
    for (let id = 0; id < vocab; id++) sum += weights[id] = decay((max - scores[id]!) * scale)
    if (topP < 1) sum = keepNucleus(scores, weights, max, scale, topP * sum, ids)
    if (minP > 0) {
      sum = 0
      for (let id = 0; id < vocab; id++) {
        if (weights[id]! < minP) weights[id] = 0
        else sum += weights[id]!
      }
    }
    return pick(weights, vocab, random() * sum)
  }

  return {
    next: (logits, history) => {
      if (scores.length !== logits.length) {
        scores = new Float32Array(logits.length)
        weights = new Float64Array(logits.length)
        ids = new Int32Array(logits.length)
      }
      scores.set(logits)
      penalize(scores, history, settings)
      const top = greatest(scores)
      if (temperature === 0) return top
      return topK > 0 ? drawFromBest(scores[top]!) : drawFromAll(scores[top]!)
    }
  }
}

type Settings = Required<Omit<SamplingOptions, "seed">> & { readonly seed: number | undefined }

const check = (options: SamplingOptions): Settings => {
  const settings: Settings = {
    temperature: options.temperature ?? 0,
    topK: options.topK ?? 0,
    topP: options.topP ?? 1,
    minP: options.minP ?? 0,
    repetitionPenalty: options.repetitionPenalty ?? 1,
    frequencyPenalty: options.frequencyPenalty ?? 0,
    presencePenalty: options.presencePenalty ?? 0,
    penaltyWindow: options.penaltyWindow ?? Infinity,
    seed: options.seed
  }
  const must = (name: keyof Settings, fine: boolean, range: string): void => {
    if (!fine) throw new RangeError(`Cannot sample as ${name} must be ${range}: it is ${settings[name]}`)
  }
  const { temperature, topK, topP, minP, repetitionPenalty, penaltyWindow, seed } = settings
  must("temperature", temperature >= 0 && temperature < Infinity, "a number >= 0")
  must("topK", Number.isInteger(topK) && topK >= 0, "an integer >= 0")
  must("topP", topP > 0 && topP <= 1, "in (0, 1]")
  must("minP", minP >= 0 && minP < 1, "in [0, 1)")
  must("repetitionPenalty", repetitionPenalty > 0 && repetitionPenalty < Infinity, "a number > 0")
  must("frequencyPenalty", Number.isFinite(settings.frequencyPenalty), "a number")
  must("presencePenalty", Number.isFinite(settings.presencePenalty), "a number")
  must("penaltyWindow", penaltyWindow >= 0, "a number >= 0")
  must("seed", seed === undefined || (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32), "an integer below 2^32")
  return settings
}

/** Applies the penalties to the scores of tokens in the history, in place. Ids outside the vocabulary have none. */
const penalize = (scores: Float32Array, history: ReadonlyArray<number>, settings: Settings): void => {
  const { repetitionPenalty, frequencyPenalty, presencePenalty, penaltyWindow } = settings
  if (repetitionPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0) return
  const counts = new Map<number, number>()
  for (let i = Math.max(0, history.length - penaltyWindow); i < history.length; i++) {
    counts.set(history[i]!, (counts.get(history[i]!) ?? 0) + 1)
  }
  for (const [id, count] of counts) {
    const score = scores[id]
    if (score === undefined) continue
    const repeated = score > 0 ? score / repetitionPenalty : score * repetitionPenalty
    scores[id] = repeated - count * frequencyPenalty - presencePenalty
  }
}

/** The id of the greatest score, the lowest among equals. */
const greatest = (scores: Float32Array): number => {
  let top = -1
  let max = -Infinity
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id]!
    if (score > max) {
      max = score
      top = id
    } else if (Number.isNaN(score)) throw new LogitsError(`the logit of token ${id} is not a number`)
  }
  if (top < 0) throw new LogitsError(scores.length === 0 ? "there are no logits" : "no token is possible")
  if (max === Infinity) throw new LogitsError(`the logit of token ${top} is infinite`)
  return top
}
