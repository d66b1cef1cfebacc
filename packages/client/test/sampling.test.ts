import * as FastCheck from "effect/FastCheck"
import { assert, describe, expect, it } from "vitest"
import { makeRandom } from "../src/random.ts"
import { LogitsError, makeSampler, type SamplingOptions } from "../src/sampling.ts"
import { decay, STEPS } from "../src/selection.ts"

/** The distribution that the options say, computed the plain way: sort everything, cut, renormalize. */
const distribution = (
  logits: ReadonlyArray<number>,
  history: ReadonlyArray<number>,
  o: SamplingOptions
): Array<number> => {
  const window = history.slice(-(o.penaltyWindow ?? history.length) || history.length)
  const scores = logits.map((logit, id) => {
    const count = window.filter((other) => other === id).length
    if (count === 0) return logit
    const factor = o.repetitionPenalty ?? 1
    return Math.fround(
      (logit > 0 ? logit / factor : logit * factor) - count * (o.frequencyPenalty ?? 0) - (o.presencePenalty ?? 0)
    )
  })
  const max = Math.max(...scores)
  const ranked = scores
    .map((score, id) => ({ id, weight: Math.exp((score - max) / (o.temperature ?? 0)) }))
    .sort((a, b) => b.weight - a.weight || a.id - b.id)
    .slice(0, o.topK || scores.length)
  const total = ranked.reduce((sum, { weight }) => sum + weight, 0)
  let before = 0
  const kept = ranked.filter(({ weight }, i) => {
    const keep = i === 0 || (((o.topP ?? 1) === 1 || before < (o.topP ?? 1) * total) && weight >= (o.minP ?? 0))
    before += weight
    return keep
  })
  const mass = kept.reduce((sum, { weight }) => sum + weight, 0)
  const result = scores.map(() => 0)
  for (const { id, weight } of kept) result[id] = weight / mass
  return result
}

/** Shares of each token among `draws`. */
const measure = (
  logits: ReadonlyArray<number>,
  history: ReadonlyArray<number>,
  options: SamplingOptions,
  draws: number
) => {
  const sampler = makeSampler(options)
  const shares = logits.map(() => 0)
  for (let i = 0; i < draws; i++) {
    const id = sampler.next(Float32Array.from(logits), history)
    shares[id] = (shares[id] ?? 0) + 1 / draws
  }
  return shares
}

/** Sum of squared deviations over expectations; tokens with no probability must never come. */
const chiSquare = (shares: ReadonlyArray<number>, expected: ReadonlyArray<number>, draws: number): number => {
  let sum = 0
  expected.forEach((share, id) => {
    const seen = shares[id] ?? 0
    if (share === 0) assert.strictEqual(seen, 0, `token ${id}`)
    else sum += (draws * (seen - share) ** 2) / share
  })
  return sum
}

const random = makeRandom(11)
const logitsOf = (vocab: number, spread: number): ReadonlyArray<number> =>
  Array.from({ length: vocab }, () => Math.fround(spread * (random() + random() + random() - 1.5)))

describe("makeSampler", () => {
  const cases: ReadonlyArray<SamplingOptions> = [
    { temperature: 1 },
    { temperature: 0.5, minP: 0.1 },
    { temperature: 1, topK: 5 },
    { temperature: 0.7, topK: 40, topP: 0.9 },
    { temperature: 1.5, topP: 0.8 },
    { temperature: 1, topP: 0.95, minP: 0.05 },
    { temperature: 1, topK: 1000 },
    { temperature: 0.9, topP: 0.7, repetitionPenalty: 1.3, frequencyPenalty: 0.2, presencePenalty: 0.4 },
    { temperature: 1, repetitionPenalty: 1.5, penaltyWindow: 3 }
  ]
  for (const options of cases) {
    it(`draws from the distribution of ${JSON.stringify(options)}`, () => {
      const draws = 20_000
      for (const vocab of [12, 400]) {
        const logits = logitsOf(vocab, 6)
        const history = [1, 2, 2, 3, 3, 3, 7]
        const expected = distribution(logits, history, options)
        const degrees = expected.filter((share) => share > 0).length - 1
        const found = chiSquare(measure(logits, history, { ...options, seed: 5 }, draws), expected, draws)
        // five standard deviations above the mean of the chi-square distribution
        assert.isBelow(found, degrees + 5 * Math.sqrt(2 * degrees + 1))
      }
    })
  }

  it("draws only what the plain computation keeps, for any options", () => {
    const option = FastCheck.record({
      temperature: FastCheck.double({ min: 0.1, max: 3, noNaN: true }),
      topK: FastCheck.nat(30),
      topP: FastCheck.double({ min: 0.05, max: 1, noNaN: true }),
      minP: FastCheck.double({ min: 0, max: 0.9, noNaN: true }),
      seed: FastCheck.nat(1000)
    })
    // few distinct values: ties everywhere
    const logits = FastCheck.array(FastCheck.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 300 })
    FastCheck.assert(
      FastCheck.property(logits, option, (values, options) => {
        // the sums are added in another order, so a boundary may move by a rounding
        const expected = distribution(values, [], { ...options, topP: Math.min(1, options.topP * (1 + 1e-9)) })
        const sampler = makeSampler(options)
        const row = Float32Array.from(values)
        for (let i = 0; i < 20; i++) assert.isAbove(expected[sampler.next(row, [])] ?? 0, 0)
      }),
      { numRuns: 300 }
    )
  })

  it("is greedy at temperature 0, the lowest id winning", () => {
    const sampler = makeSampler({ topK: 3, topP: 0.5 })
    assert.strictEqual(sampler.next(Float32Array.of(1, 3, 2, 3), []), 1)
    assert.strictEqual(makeSampler({ repetitionPenalty: 2 }).next(Float32Array.of(1, 3, 2, 2.9), [1]), 3)
    assert.strictEqual(makeSampler({ repetitionPenalty: 2 }).next(Float32Array.of(-3, -2), [1]), 0)
    assert.strictEqual(makeSampler({ presencePenalty: 1 }).next(Float32Array.of(2.5, 3), [1, 99]), 0)
  })

  it("leaves the logits as they are, and takes vocabularies of another size", () => {
    const sampler = makeSampler({ temperature: 1, topP: 0.5, frequencyPenalty: 1 })
    const logits = Float32Array.of(1, 2, 3)
    sampler.next(logits, [0, 1, 2])
    assert.deepStrictEqual([...logits], [1, 2, 3])
    assert.strictEqual(sampler.next(Float32Array.of(0, 9), []), 1)
  })

  it("repeats itself with a seed, and does not without", () => {
    const logits = Float32Array.from(logitsOf(1000, 1))
    const run = (seed?: number): ReadonlyArray<number> => {
      const sampler = makeSampler({ temperature: 1, ...(seed === undefined ? {} : { seed }) })
      return Array.from({ length: 30 }, () => sampler.next(logits, []))
    }
    assert.deepStrictEqual(run(3), run(3))
    assert.notDeepEqual(run(3), run(4))
    assert.notDeepEqual(run(), run())
  })

  it("finds a nucleus of nearly the whole vocabulary", () => {
    const logits = new Float32Array(5000)
    const sampler = makeSampler({ temperature: 1, topP: 0.999, seed: 1 })
    const seen = new Set(Array.from({ length: 300 }, () => sampler.next(logits, [])))
    assert.isAbove(seen.size, 250)
    assert.isBelow(Math.max(...seen), 4995)
  })

  it("is greedy at the least temperature", () => {
    for (const options of [{}, { topK: 3 }, { topP: 0.99 }, { minP: 0.1 }]) {
      const sampler = makeSampler({ temperature: Number.MIN_VALUE, ...options })
      assert.strictEqual(sampler.next(Float32Array.of(-1, 2, 1), []), 1)
    }
  })

  it("never takes what is impossible", () => {
    const logits = Float32Array.of(-Infinity, 0, -Infinity, 0)
    for (const options of [{}, { topK: 3 }, { topP: 0.99 }, { minP: 0.1 }]) {
      const sampler = makeSampler({ temperature: 1, seed: 2, ...options })
      for (let i = 0; i < 100; i++) assert.include([1, 3], sampler.next(logits, []))
    }
  })

  it("refuses logits that are no distribution", () => {
    for (const options of [{}, { temperature: 1 }, { temperature: 1, topK: 2 }]) {
      const next =
        (...logits: ReadonlyArray<number>) =>
        () =>
          makeSampler(options).next(Float32Array.from(logits), [])
      expect(next(1, Number.NaN, 2)).toThrowError(LogitsError)
      expect(next(1, Number.NaN, 2)).toThrowError(/token 1/)
      expect(next(Number.NaN)).toThrowError(LogitsError)
      expect(next(1, Infinity)).toThrowError(/infinite/)
      expect(next(-Infinity, -Infinity)).toThrowError(/no token/)
      expect(next()).toThrowError(/no logits/)
    }
  })

  it("refuses options out of their range", () => {
    for (const options of [
      { temperature: -1 },
      { temperature: Number.NaN },
      { topK: 1.5 },
      { topP: 0 },
      { topP: 1.1 },
      { minP: 1 },
      { repetitionPenalty: 0 },
      { frequencyPenalty: Infinity },
      { penaltyWindow: -1 },
      { seed: 2 ** 32 }
    ]) {
      expect(() => makeSampler(options)).toThrowError(RangeError)
    }
  })
})

describe("makeRandom", () => {
  it("is xoshiro128** with a filled state", () => {
    // written once more with big integers
    const mask = 0xffffffffn
    const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (32n - by))) & mask
    let counter = 42n
    const state = Array.from({ length: 4 }, () => {
      counter = (counter + 0x9e3779b9n) & mask
      let z = counter
      z = ((z ^ (z >> 16n)) * 0x85ebca6bn) & mask
      z = ((z ^ (z >> 13n)) * 0xc2b2ae35n) & mask
      return z ^ (z >> 16n)
    })
    const next = (): bigint => {
      const [a = 0n, b = 0n, c = 0n, d = 0n] = state
      const result = (rotate((b * 5n) & mask, 7n) * 9n) & mask
      const third = c ^ a
      const fourth = d ^ b
      state.splice(0, 4, a ^ fourth, b ^ third, third ^ ((b << 9n) & mask), rotate(fourth, 11n))
      return result
    }
    const uniform = makeRandom(42)
    for (let i = 0; i < 1000; i++) {
      const bits = ((next() >> 5n) << 26n) | (next() >> 6n)
      assert.strictEqual(uniform(), Number(bits) / 2 ** 53)
    }
  })
})

describe("decay", () => {
  it("is the exponential function", () => {
    for (let distance = 0; distance < 60_000; distance += 0.37) {
      const expected = Math.exp(-distance / STEPS)
      assert.isAtMost(Math.abs(decay(distance) - expected), 1e-15 * expected, String(distance))
    }
    assert.strictEqual(decay(0), 1)
    assert.strictEqual(decay(Infinity), 0)
  })
})
