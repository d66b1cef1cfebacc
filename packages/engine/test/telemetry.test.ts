import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-telemetry-"))
afterAll(() => fs.rmSync(home, { recursive: true }))

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx/esm/api")).href
const module = new URL("../src/index.ts", import.meta.url).href

/** Starts an engine in a process of its own, in the main thread or in a worker. */
const program = (layer: string, inWorker: boolean): string => {
  const start = `
    const [{ Engine, ${layer} }, Effect] = await Promise.all([import(${JSON.stringify(module)}), import("effect/Effect")])
    await Effect.runPromise(Effect.provide(Effect.map(Engine, ({ info }) => console.log(info.layer)), ${layer}))`
  if (!inWorker) return start
  const script = `import(${JSON.stringify(tsx)}).then(async ({ register }) => { register(); ${start} })`
  return `import { Worker } from "node:worker_threads"; new Worker(${JSON.stringify(script)}, { eval: true })`
}

describe.skipIf(process.platform !== "linux")("telemetry", () => {
  for (const [layer, inWorker] of [
    ["layerCapi", false],
    ["layerCapi", true],
    ["layerBinding", false]
  ] as const) {
    it(`${layer}${inWorker ? " in a worker" : ""}: nothing is kept for it, and a long command line is no harm`, () => {
      const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env
      const said = execFileSync(
        process.execPath,
        [
          "--import",
          "tsx",
          "--conditions=swarm-src",
          "--input-type=module",
          "-e",
          program(layer, inWorker),
          "x".repeat(100_000)
        ],
        { env: { ...env, HOME: home, XDG_CACHE_HOME: home, TMPDIR: home }, encoding: "utf8" }
      )
      assert.strictEqual(said.trim(), layer === "layerCapi" ? "capi" : "binding")
      assert.deepStrictEqual(
        fs.readdirSync(home).filter((name) => !name.startsWith("tsx-")),
        []
      )
    })
  }
})
