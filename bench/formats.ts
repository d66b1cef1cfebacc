/**
 * The time of one linear layer in every weight format, as spans run it, beside the fastest format and beside ggml.
 *
 *     node --import tsx --conditions=swarm-src bench/formats.ts [NAME ...] [--features 4096] [--rounds 7] [--quick] [--json]
 *
 * NAME: only formats whose name begins with it. One thread, int8 activations, 1, 8 and 128 rows. Each run multiplies with
 * several equal matrices that together are larger than the processor's caches, as the layers of a model are. Ours, the
 * fastest format (4-bit codes in groups of 128) and ggml's kernel for the same bytes take turns.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { Engine, layer, type Service } from "@swarm/engine"
import { graph } from "@swarm/onnx"
import * as Effect from "effect/Effect"
import { prepareWeights } from "../packages/compute/src/weights.ts"
import { makeOperators } from "../packages/model/src/internal/operators.ts"
import { declare, linearOptions } from "../packages/model/src/internal/planning.ts"
import { makeLinear } from "../packages/model/src/Linear.ts"
import type { Initializer, OffsetFold } from "../packages/model/src/Plan.ts"
import { type Format, formats } from "./support/formats.ts"
import { loadGgml } from "./support/ggml.ts"
import { makeReport, type Row } from "./support/report.ts"
import { median, quantile, ratios } from "./support/statistics.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    features: { type: "string", default: "4096" },
    rounds: { type: "string", default: "7" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
const features = values.quick ? 512 : Number(values.features)
const rounds = values.quick ? 1 : Number(values.rounds)
const ROWS = [1, 8, 128]
const FASTEST = "q4 in groups of 128"
/** More than the last cache of most processors. */
const CACHE_BYTES = 72e6

const copiesOf = (bytes: number): number => (values.quick ? 2 : Math.max(2, Math.ceil(CACHE_BYTES / bytes)))

/** Products of one x with all copies of the layer. */
interface Products {
  readonly copies: number
  readonly run: () => Promise<unknown>
}

interface Layer {
  /** The kernel, and what is lost. */
  readonly kernel: string
  readonly products: (rows: number, x: Float32Array) => Products
}

/** `make`, called once. */
const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** Loads copies of a format's layer, packed as those of a span are. */
const loadLayer = (engine: Service, root: string, { name, make, options = {} }: Format) =>
  Effect.gen(function* () {
    const weight = make()
    const one = (copy: number) =>
      makeLinear(`layer_${copy}`, [{ weight, bias: undefined }], { ...linearOptions(options), ...options })
    const first = one(0)
    const reads = first.initializers.map(({ read }) => once(read))
    const copies = copiesOf(first.initializers.reduce((sum, { bytes }) => sum + bytes, 0))
    const layers = Array.from({ length: copies }, (_, copy) => one(copy))
    const initializers: ReadonlyArray<Initializer> = layers.flatMap((linear) =>
      linear.initializers.map((initializer, i) => ({ ...initializer, read: reads[i] ?? initializer.read }))
    )
    const [scales, offsets] = [once(() => first.fold?.scales()), once(() => first.fold?.offsets())]
    const folds: ReadonlyArray<OffsetFold> = layers.flatMap(({ fold }) =>
      fold === undefined
        ? []
        : [{ ...fold, scales: () => scales() ?? fold.scales(), offsets: () => offsets() ?? fold.offsets() }]
    )
    const replaced = new Set(folds.map(({ replaces }) => replaces))
    const build = (folded: boolean, locate: Parameters<typeof declare>[2]) => {
      const g = graph({ name })
      declare(g, folded ? initializers.filter((initializer) => !replaced.has(initializer.name)) : initializers, locate)
      const x = g.input("x", "f32", [1, "tokens", first.inFeatures])
      const operators = makeOperators(g, 3, folded)
      layers.forEach((linear, copy) => {
        const y = g.node("Identity", [linear.apply(operators, x)], { name: `y_${copy}` })
        g.output(y, "f32", [1, "tokens", first.outFeatures])
      })
      return g.bytes()
    }
    const weights = yield* prepareWeights(
      engine,
      {
        key: [name, features, copies],
        initializers,
        folds,
        agree: () => Effect.succeed(true),
        graph: (locate) => build(false, locate)
      },
      root
    )
    const program = yield* engine.load({ model: build(weights.folded, weights.locate), folder: weights.folder })
    const products: Layer["products"] = (rows, x) => {
      const binding = program.bind()
      const input = engine.tensor("f32", [1, rows, first.inFeatures])
      ;(input.data as Float32Array).set(x)
      binding.input("x", input)
      layers.forEach((_, copy) => {
        binding.output(`y_${copy}`, engine.tensor("f32", [1, rows, first.outFeatures]))
      })
      return { copies, run: () => binding.run({ blocking: true }) }
    }
    return { kernel: first.matrices[0]?.kernel ?? "", products } satisfies Layer
  })

/** Milliseconds of one layer. */
const time = async ({ run, copies }: Products): Promise<number> => {
  const started = performance.now()
  await run()
  return (performance.now() - started) / copies
}

/** Rows of activations: normal numbers would do as well. */
const inputs = (rows: number): Float32Array =>
  Float32Array.from({ length: rows * features }, (_, i) => Math.sin(i * 1.7) * Math.exp(Math.sin(i * 0.013)))

const spread = (found: ReadonlyArray<number>): string =>
  `${median(found).toFixed(2)} (${quantile(found, 0.1).toFixed(2)}..${quantile(found, 0.9).toFixed(2)})`

const program = Effect.gen(function* () {
  const engine = yield* Engine
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-formats-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true })))
  const ggml = loadGgml()
  const report = yield* Effect.promise(() => makeReport(values.json, { features, rounds, ggml: ggml.variant }))
  const all = formats(features, features)
  const chosen = all.filter(({ name }) => positionals.length === 0 || positionals.some((part) => name.startsWith(part)))
  const best = all.find(({ name }) => name === FASTEST)
  if (best === undefined || chosen.length === 0) throw new RangeError(`There is no format "${positionals}"`)
  const fastest = yield* loadLayer(engine, root, best)

  const measure = (format: Format) =>
    Effect.gen(function* () {
      const ours = yield* loadLayer(engine, root, format)
      const bytes = format.ggml?.bytes()
      const row: Record<string, string | number> = { format: format.name, kernel: ours.kernel }
      for (const rows of ROWS) {
        const x = inputs(rows)
        const theirs =
          format.ggml === undefined || bytes === undefined
            ? undefined
            : ggml.products({ type: format.ggml.type, bytes, shape: [features, features] }, copiesOf(bytes.length), x)
        const sides: Record<"ours" | "best" | "ggml", Products | undefined> = {
          ours: ours.products(rows, x),
          best: fastest.products(rows, x),
          ggml: theirs && { copies: copiesOf(bytes?.length ?? 0), run: async () => theirs.run() }
        }
        const found = { ours: [] as number[], best: [] as number[], ggml: [] as number[] }
        for (let round = -1; round < rounds; round++) {
          const names = Object.keys(found) as Array<keyof typeof found>
          for (const name of round % 2 === 0 ? names.reverse() : names) {
            const side = sides[name]
            if (side === undefined) continue
            const milliseconds = yield* Effect.promise(() => time(side))
            if (round >= 0) found[name].push(milliseconds)
          }
        }
        row[`M = ${rows}, ms`] = median(found.ours)
        row[`M = ${rows}, of the best`] = spread(ratios(found.ours, found.best))
        row[`M = ${rows}, of ggml`] = theirs === undefined ? "" : spread(ratios(found.ours, found.ggml))
        if (theirs !== undefined) row.ggml = theirs.repacked ? "repacked" : "as it is"
        theirs?.free()
      }
      report.sample(row)
      return row satisfies Row
    }).pipe(Effect.scoped)

  const rows = yield* Effect.forEach(chosen, measure)
  report.table(`A layer of ${features} x ${features}, one thread, medians of ${rounds}; ratios within rounds`, rows)
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
