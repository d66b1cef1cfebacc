/**
 * The largest error of every fixture: hidden states and logits beside those of other software, as a Markdown table.
 *
 *     node --import tsx --conditions=swarm-src bench/numerics.ts [NAME ...] [--json]
 *
 * NAME: only fixtures whose name contains it. Errors are relative to the greatest expected magnitude. With f32 activations
 * the README of the fixtures allows 1e-4, and the continuation must be the expected one; the command fails if one does not.
 * With int8 activations there is no bound: the share of positions whose first choice is the expected one stands beside it.
 * @module
 */
import { parseArgs } from "node:util"
import { localPipeline } from "@swarm/client"
import { loadHead, loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { type Activations, openModel } from "@swarm/model"
import * as Effect from "effect/Effect"
import { expectedOf, type FixtureModel, feed, fixtureModels, greedy } from "../test/support/fixtureModels.ts"
import { argmaxRow, worst } from "../test/support/tensors.ts"

const TOLERANCE = 1e-4

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } })

interface Errors {
  readonly hidden: number
  readonly logits: number
  /** Positions of the text whose first choice is the expected one. */
  readonly firstChoices: number
  readonly positions: number
  /** Whether the greedy continuation is the expected one; undefined if there is none. */
  readonly sameIds: boolean | undefined
}

const measure = (fixture: FixtureModel, activations: Activations) =>
  Effect.scoped(
    Effect.gen(function* () {
      const model = yield* openModel(fixture.model)
      const { ids, hidden, logits, greedyIds } = expectedOf(fixture, model.blocks)
      const head = yield* loadHead(model, { activations })
      let rows = head.embed(ids)
      let worstHidden = 0
      for (let block = 0; block < model.blocks; block++) {
        const span = yield* loadSpan(model, block, block + 1, { activations })
        rows = yield* Effect.promise(() => localPipeline([span], ids.length).forward(rows, "all"))
        worstHidden = Math.max(worstHidden, worst(rows, hidden[block] ?? []))
      }
      const span = yield* loadSpan(model, 0, model.blocks, { activations })
      const whole = yield* Effect.promise(() => feed(localPipeline([span], ids.length), head, ids, ids.length))
      const got = yield* Effect.promise(() => head.logits(whole))
      const choice = (table: Float32Array, row: number) => argmaxRow(table, row, model.vocabSize)
      const continued =
        greedyIds.length === 0
          ? undefined
          : yield* Effect.promise(() =>
              greedy(localPipeline([span], ids.length + greedyIds.length), head, ids, greedyIds.length)
            )
      return {
        hidden: worstHidden,
        logits: worst(got, logits),
        firstChoices: ids.filter((_, row) => choice(got, row) === choice(logits, row)).length,
        positions: ids.length,
        sameIds: continued?.every((id, i) => id === greedyIds[i])
      } satisfies Errors
    })
  )

const share = ({ firstChoices, positions }: Errors) => `${firstChoices} of ${positions}`
const same = ({ sameIds }: Errors) => (sameIds === undefined ? "-" : sameIds ? "equal" : "DIFFERENT")

const program = Effect.gen(function* () {
  const chosen = fixtureModels.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part))
  )
  if (!values.json) {
    console.log("| fixture | hidden | logits | greedy ids | logits, int8 | first choices, int8 |")
    console.log("| --- | --- | --- | --- | --- | --- |")
  }
  let bad = 0
  for (const fixture of chosen) {
    const f32 = yield* measure(fixture, "f32")
    const int8 = yield* measure(fixture, "int8")
    if (!(f32.hidden <= TOLERANCE && f32.logits <= TOLERANCE) || f32.sameIds === false) bad++
    if (values.json) console.log(JSON.stringify({ fixture: fixture.name, f32, int8 }))
    else {
      const cells = [f32.hidden.toExponential(1), f32.logits.toExponential(1), same(f32), int8.logits.toExponential(1)]
      console.log(`| ${[fixture.name, ...cells, share(int8)].join(" | ")} |`)
    }
  }
  if (bad > 0) {
    console.error(`${bad} of ${chosen.length} fixtures beyond ${TOLERANCE}`)
    process.exitCode = 1
  }
})

await Effect.runPromise(program.pipe(Effect.provide(Engine.layer)))
