/**
 * What an architecture means, in f64 and token by token: no cache, no kernels, nothing shared with the graphs.
 * @module
 */
import type { Architecture, Norm, Rotary } from "../../src/index.ts"

/** A matrix by rows, or a vector; undefined where the model has none. */
export type Parameter = (name: string, block?: number, expert?: number) => ReadonlyArray<Float64Array> | undefined

type Row = Float64Array

const dot = (a: Row, b: Row): number => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
const plus = (a: Row, b: Row): Row => a.map((value, i) => value + (b[i] ?? 0))
const times = (a: Row, factor: number): Row => a.map((value) => value * factor)

const softmax = (scores: ReadonlyArray<number>): ReadonlyArray<number> => {
  const greatest = Math.max(...scores)
  const powers = scores.map((score) => Math.exp(score - greatest))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

/** Abramowitz and Stegun give too little here: the series of the error function, which converges for all arguments. */
const erf = (x: number): number => {
  let term = x
  let sum = x
  for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n++) {
    term *= -(x * x) / n
    sum += term / (2 * n + 1)
  }
  return Math.abs(x) > 5 ? Math.sign(x) : (2 / Math.sqrt(Math.PI)) * sum
}

const activations: Readonly<Record<string, (x: number) => number>> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0)
}

/** The first `dims` dimensions of a head at a position; unscaled frequencies only. */
const turn = (head: Row, { base, dims, interleaved }: Rotary, position: number): Row => {
  const out = head.slice()
  for (let i = 0; i < dims / 2; i++) {
    const angle = position * base ** ((-2 * i) / dims)
    const [one, two] = interleaved ? [2 * i, 2 * i + 1] : [i, i + dims / 2]
    const [x = 0, y = 0] = [head[one], head[two]]
    out[one] = x * Math.cos(angle) - y * Math.sin(angle)
    out[two] = x * Math.sin(angle) + y * Math.cos(angle)
  }
  return out
}

/** Logits of every token: (tokens, vocab), rows joined. */
export const naiveLogits = (a: Architecture, parameter: Parameter, ids: ReadonlyArray<number>): Float32Array => {
  const linear = (name: string, x: Row, block?: number, expert?: number): Row => {
    const weight = parameter(`${name}.weight`, block, expert)
    if (weight === undefined) throw new Error(`no ${name}`)
    const y = Float64Array.from(weight, (row) => dot(row, x))
    const [bias] = parameter(`${name}.bias`, block, expert) ?? []
    return bias === undefined ? y : plus(y, bias)
  }
  const norm = (name: string, x: Row, block?: number, { kind, epsilon, unitOffset }: Norm = a.norm): Row => {
    const [weight] = parameter(`${name}.weight`, block) ?? []
    if (weight === undefined) return x
    const mean = kind === "layer" ? x.reduce((sum, value) => sum + value, 0) / x.length : 0
    const centred = x.map((value) => value - mean)
    const factor = 1 / Math.sqrt(dot(centred, centred) / x.length + epsilon)
    const y = centred.map((value, i) => value * factor * ((weight[i] ?? 0) + (unitOffset ? 1 : 0)))
    const [bias] = parameter(`${name}.bias`, block) ?? []
    return bias === undefined ? y : plus(y, bias)
  }
  const act = activations[a.feedForward.activation] ?? Number
  const mlp = (stem: string, x: Row, block: number, expert?: number): Row => {
    const up = linear(`${stem}.up`, x, block, expert)
    if (a.feedForward.kind === "plain") return linear(`${stem}.down`, up.map(act), block, expert)
    const gate = linear(`${stem}.gate`, x, block, expert).map(act)
    return linear(
      `${stem}.down`,
      gate.map((value, i) => value * (up[i] ?? 0)),
      block,
      expert
    )
  }
  const feed = (x: Row, block: number): Row => {
    const { experts } = a.feedForward
    if (experts === undefined || a.layers[block]?.dense) return mlp("mlp", x, block)
    const shares = softmax([...linear("router", x, block)])
    const chosen = shares
      .map((share, expert) => ({ share, expert }))
      .sort((one, other) => other.share - one.share)
      .slice(0, experts.perToken)
    const sum = experts.normalized ? chosen.reduce((total, { share }) => total + share, 0) : 1
    return chosen.reduce<Row>(
      (total, { share, expert }) => plus(total, times(mlp("expert", x, block, expert), share / sum)),
      new Float64Array(x.length)
    )
  }
  const { heads, kvHeads, headDim, scale } = a.attention
  const attend = (rows: ReadonlyArray<Row>, block: number): ReadonlyArray<Row> => {
    const { rotary, window = rows.length } = a.layers[block] ?? {}
    const turns = rotary === undefined ? undefined : a.rotaries[rotary]
    const headsOf = (name: string, count: number, normed?: string) =>
      rows.map((x, position) => {
        const whole = linear(name, x, block)
        return Array.from({ length: count }, (_, h) => {
          const head = whole.slice(h * headDim, (h + 1) * headDim)
          if (normed === undefined) return head
          const normal = a.attention.qkNorm === "head" ? norm(normed, head, block) : head
          return turns === undefined ? normal : turn(normal, turns, position)
        })
      })
    const [q, k, v] = [
      headsOf("attn.q", heads, "attn.qNorm"),
      headsOf("attn.k", kvHeads, "attn.kNorm"),
      headsOf("attn.v", kvHeads)
    ]
    return rows.map((_, position) => {
      const out = new Float64Array(heads * headDim)
      for (let h = 0; h < heads; h++) {
        const group = Math.floor((h * kvHeads) / heads)
        const first = Math.max(0, position + 1 - window)
        const query = q[position]?.[h] ?? new Float64Array(headDim)
        const keys = k.slice(first, position + 1).map((each) => each[group] ?? query)
        softmax(keys.map((key) => dot(query, key) * scale)).forEach((share, i) => {
          const value = times(v[first + i]?.[group] ?? query, share)
          value.forEach((each, d) => {
            out[h * headDim + d] = (out[h * headDim + d] ?? 0) + each
          })
        })
      }
      return linear("attn.output", out, block)
    })
  }
  const { learnedPositions: learned, embeddingScale = 1, residualScale = 1, logitScale = 1 } = a
  let rows = ids.map((id, position): Row => {
    const x = times(parameter("embedding.weight")?.[id] ?? new Float64Array(0), embeddingScale)
    const table = parameter("embedding.positions.weight")
    return learned === undefined ? x : plus(x, table?.[position + (learned.offset ?? 0)] ?? x)
  })
  for (let block = 0; block < a.blocks; block++) {
    const normed = rows.map((x) => norm("attn.norm", x, block))
    const attended = attend(normed, block)
    rows = rows.map((x, i) => {
      const first = plus(x, times(attended[i] ?? x, residualScale))
      const input =
        a.parallelResidual === "shared-norm"
          ? (normed[i] ?? x)
          : norm("mlp.norm", a.parallelResidual ? x : first, block)
      return plus(first, times(feed(input, block), residualScale))
    })
  }
  return Float32Array.from(rows.flatMap((x) => [...times(linear("head", norm("norm", x)), logitScale)]))
}
