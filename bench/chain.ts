/**
 * Three servers on loopback beside one process; several streams; time to the first token; beside Petals' figures.
 * usage: node --import tsx --conditions=swarm-src bench/chain.ts [MODEL.gguf]
 * @module
 */
import * as path from "node:path"
import { parseArgs } from "node:util"
import { bench, environment, median, smollm2, table } from "./support.ts"

/** Petals 2.2.0, SmolLM2-135M in float32, three servers of ten blocks on a machine of two cores, one thread each. */
const PETALS = { decode: 8.6, prefill: 176, fourStreams: 15 }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "3" } }
})
const model = positionals[0] ?? smollm2
const short = ["--prompt-tokens", "16", "--repetitions", "2"]
const rates: Record<string, Array<number>> = {}
const note = (name: string, found: ReadonlyArray<number>) => {
  rates[name] = [...(rates[name] ?? []), ...found]
}
for (let round = 0; round < Number(values.rounds); round++) {
  note("one process", bench(model, ...short).tg)
  const chain = bench(model, "--swarm", "3", "--repetitions", "2")
  note("three servers", chain.tg)
  note("prefill 512", chain.pp)
  note(
    "first token",
    bench(model, "--swarm", "3", ...short)
      .pp.slice(1)
      .map((rate) => 16 / rate)
  )
  note("four streams", bench(model, "--swarm", "3", "--streams", "4", ...short).tg)
  note("eight streams", bench(model, "--swarm", "3", "--streams", "8", ...short).tg)
}
const of = (name: string) => median(rates[name] ?? [])
const one = of("one process")
const three = of("three servers")
console.log(`${path.basename(model)}, three servers on loopback, one thread each, ${environment()}`)
console.log(
  table(
    ["", "value", "beside"],
    [
      ["one process, tg128 tokens/s", one, ""],
      [
        "three servers, one stream, tokens/s",
        three,
        `${(three / one).toFixed(2)} of one process; ${(three / PETALS.decode).toFixed(1)} x Petals`
      ],
      ["overhead of a hop, ms", (1000 / three - 1000 / one) / 3, "(difference of a token's time) / 3"],
      [
        "four streams in all, tokens/s",
        of("four streams"),
        `${(of("four streams") / three).toFixed(2)} of one stream; ${(of("four streams") / PETALS.fourStreams).toFixed(1)} x Petals`
      ],
      [
        "eight streams in all, tokens/s",
        of("eight streams"),
        `${(of("eight streams") / three).toFixed(2)} of one stream`
      ],
      ["prefill 512, tokens/s", of("prefill 512"), `${(of("prefill 512") / PETALS.prefill).toFixed(1)} x Petals`],
      ["first token of 16, s", of("first token"), "Petals 0.24"]
    ]
  )
)
