import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { loadSpan, type QuantizeTarget, quantizeModel } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { type BlockRole, type Model, openModel, readFloats } from "@swarm/model"
import { Effect } from "effect"

const ROLES: ReadonlyArray<BlockRole> = ["attn.q", "attn.k", "attn.v", "attn.output", "mlp.gate", "mlp.up", "mlp.down"]

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-quantize-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Texts of one length that the model was made for. */
const textsOf = (model: Model, count: number, length: number): ReadonlyArray<ReadonlyArray<number>> => {
  const story = "Once upon a time there was a brave little dragon. She lived in a blue house and loved her red kite. "
  const ids = model.tokenizer().encode(story.repeat(40))
  return Array.from({ length: count }, (_, i) => ids.slice(i * 7, i * 7 + length))
}

/** The squared error of all matrices of a block over their squares. */
const weightError = (model: Model, quantized: Model, block: number): number => {
  let [error, total] = [0, 0]
  for (const role of ROLES) {
    const [w, q] = [model, quantized].map(({ opened }) => readFloats(opened.weights.weight(role, block)))
    w?.forEach((value, i) => {
      error += (value - (q?.[i] ?? 0)) ** 2
      total += value ** 2
    })
  }
  return error / total
}

/** What all blocks make of a text, with f32 activations. */
const outputs = (model: Model, ids: ReadonlyArray<number>, weightFolder: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const span = yield* loadSpan(model, 0, model.blocks, { activations: "f32", weightFolder })
      const kv = span.open(ids.length)
      const x = model.embedding().lookup([...ids])
      return yield* Effect.promise(() => span.run([{ kv, position: 0, tokens: ids.length }], x))
    })
  )

const distance = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + (v - (b[i] ?? 0)) ** 2, 0)

layer(Engine.layer, { excludeTestServices: true })("quantizeModel", (it) => {
  const bounds: ReadonlyArray<readonly [QuantizeTarget, number]> = [
    ["q4", 0.02],
    ["q8", 1e-4],
    ["nf4", 0.015],
    ["int8", 2e-4]
  ]
  for (const [to, bound] of bounds) {
    it.scoped(`${to} opens as a model with nearly the same weights`, () =>
      Effect.gen(function* () {
        const folder = path.join(yield* temporary, to)
        const model = yield* openModel("tiny")
        yield* quantizeModel(model, { to, folder, group: 32 })
        if (to === "int8") {
          const config = fs.readFileSync(path.join(folder, "config.json"), "utf8")
          assert.include(config, '"llm_int8_threshold": 6.0', "transformers refuses an integer")
        }
        const quantized = yield* openModel(folder)
        assert.strictEqual(quantized.blocks, model.blocks)
        assert.deepStrictEqual(quantized.tokenizer().encode("a red kite"), model.tokenizer().encode("a red kite"))
        const error = weightError(model, quantized, 3)
        assert.isBelow(error, bound)
        assert.isAbove(error, bound / 20)
      })
    )
  }

  it.scoped("gptq keeps activations closer than rounding to nearest; it can be ended and gone on with", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      const model = yield* openModel("tiny")
      const calibration = textsOf(model, 4, 128)
      const at = (name: string) => path.join(root, name)
      yield* quantizeModel(model, { to: "q4", folder: at("q4"), group: 64 })
      const options = { to: "gptq", group: 64, actOrder: true, calibration } as const
      yield* quantizeModel(model, { ...options, folder: at("whole") })

      const done: Array<number> = []
      const broken = quantizeModel(model, {
        ...options,
        folder: at("parts"),
        onBlock: (block) => {
          done.push(block)
          if (block === 3) throw new Error("pulled the plug")
        }
      })
      assert.strictEqual((yield* Effect.exit(broken))._tag, "Failure")
      const other = quantizeModel(model, { ...options, group: 32, folder: at("parts") })
      assert.strictEqual((yield* Effect.flip(other))._tag, "QuantizeError")
      yield* quantizeModel(model, { ...options, folder: at("parts"), onBlock: (block) => done.push(block) })
      assert.deepStrictEqual(done, [0, 1, 2, 3, 4, 5, 6, 7])
      assert.deepStrictEqual(fs.readdirSync(at("parts")).sort(), fs.readdirSync(at("whole")).sort())
      for (const name of fs.readdirSync(at("whole"))) {
        assert.isTrue(
          fs.readFileSync(path.join(at("parts"), name)).equals(fs.readFileSync(path.join(at("whole"), name))),
          name
        )
      }

      const ids = textsOf(model, 5, 128)[4] ?? []
      const float = yield* outputs(model, ids, at("cache"))
      const [nearest, gptq] = [yield* openModel(at("q4")), yield* openModel(at("whole"))]
      const error = distance(yield* outputs(gptq, ids, at("cache")), float)
      assert.isBelow(error, 0.8 * distance(yield* outputs(nearest, ids, at("cache")), float))
    })
  )

  it.scoped("refuses what it cannot quantize", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      const model = yield* openModel("tiny")
      fs.writeFileSync(path.join(root, "notes.txt"), "mine")
      const refused = (options: Partial<Parameters<typeof quantizeModel>[1]>) =>
        Effect.map(
          Effect.flip(quantizeModel(model, { to: "q4", folder: path.join(root, "new"), ...options })),
          (error) => {
            assert.strictEqual(error._tag, "QuantizeError")
            return error.message
          }
        )
      assert.include(yield* refused({ folder: root }), "something else")
      assert.include(yield* refused({ group: 8 }), "groups of 8")
      assert.include(yield* refused({ to: "gptq" }), "calibration")
      assert.include(
        yield* refused({
          to: "gptq",
          calibration: [
            [1, 2, 3],
            [1, 2]
          ]
        }),
        "one length"
      )
      assert.isFalse(fs.existsSync(path.join(root, "new")))
    })
  )
})
