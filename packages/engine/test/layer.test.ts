import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { vi } from "vitest"
import { Engine, layer, layerCapi } from "../src/index.ts"
import { addOne } from "../src/internal/complianceGraphs.ts"

vi.mock("koffi", () => {
  throw new Error("no binary for this platform")
})

it.scopedLive("layer falls back to the binding where the C API cannot be loaded, and says so", () =>
  Effect.gen(function* () {
    const warnings: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => warnings.push(String(message)))
    )
    const failure = yield* Effect.flip(Layer.build(layerCapi))
    assert.deepInclude(failure, { _tag: "LoadError", reason: "library" })
    yield* Effect.gen(function* () {
      const engine = yield* Engine
      assert.strictEqual(engine.info.layer, "binding")
      assert.deepStrictEqual((yield* engine.load({ model: addOne() })).outputs, ["y"])
    }).pipe(Effect.scoped, Effect.provide(layer.pipe(Layer.provide(logger))))
    assert.strictEqual(warnings.length, 1)
    assert.match(warnings[0] ?? "", /^Cannot load the runtime library: .*falling back/s)
  })
)
