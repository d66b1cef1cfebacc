import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { type ExternalData, graph } from "@swarm/onnx"
import * as Effect from "effect/Effect"
import koffi from "koffi"
import { Engine, layerCapi } from "../src/index.ts"
import { reservePages } from "../src/internal/pages.ts"

const MEGABYTE = 2 ** 20
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-memory-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

/** Bytes of anonymous memory, which no file backs. */
const anonymous = (): number =>
  Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024

const linux = process.platform === "linux"

describe.skipIf(!linux)("memory", () => {
  it("reservePages gives zeroed pages, untouched until used, and takes them back", () => {
    const before = anonymous()
    const pages = reservePages(256 * MEGABYTE)
    assert.isBelow(anonymous() - before, 64 * MEGABYTE)
    const view = new Uint8Array(koffi.view(pages.address, 128 * MEGABYTE))
    assert.strictEqual(view[77 * MEGABYTE], 0)
    view.fill(1)
    assert.isAbove(anonymous() - before, 120 * MEGABYTE)
    pages.free()
    assert.isBelow(anonymous() - before, 64 * MEGABYTE)
  })

  it.scoped("packed weights are mapped, once for two programs; raw ones are copied by each", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      if (engine.pack === undefined) throw new Error("layerCapi packs")
      // every tensor another: the runtime packs equal ones once
      const [columns, layers] = [1024, 64]
      const bytes = (columns * columns) / 2
      fs.writeFileSync(path.join(folder, "raw.bin"), randomBytes(bytes * layers + columns * 32 * 4))
      const raw = (name: string): ExternalData =>
        name === "scales"
          ? { location: "raw.bin", offset: bytes * layers, length: columns * 32 * 4 }
          : { location: "raw.bin", offset: Number(name) * bytes, length: bytes }
      const build = (locate: (name: string) => ExternalData): Uint8Array => {
        const g = graph()
        let x = g.input("x", "f32", ["rows", columns])
        const scales = g.external("scales", "f32", [columns * 32], locate("scales"))
        for (let layer = 0; layer < layers; layer++) {
          const codes = g.external(`${layer}`, "u8", [columns, 32, 16], locate(`${layer}`))
          const attributes = {
            K: { i: columns },
            N: { i: columns },
            bits: { i: 4 },
            block_size: { i: 32 },
            accuracy_level: { i: 4 }
          }
          x = g.node("MatMulNBits", [x, codes, scales], { domain: "com.microsoft", attributes })
        }
        g.output(x, "f32", ["rows", columns])
        return g.bytes()
      }
      const weights = bytes * layers
      const grown = (locate: (name: string) => ExternalData) =>
        Effect.scoped(
          Effect.gen(function* () {
            const before = anonymous()
            yield* engine.load({ model: build(locate), folder })
            yield* engine.load({ model: build(locate), folder })
            return anonymous() - before
          })
        )
      const start = anonymous()
      const { entries, location } = yield* engine.pack({ model: build(raw), folder }, "packed.bin")
      assert.isBelow(anonymous() - start, weights)
      const packed = (name: string): ExternalData => {
        const entry = entries.get(name)
        if (entry === undefined) throw new Error(name)
        return { location, offset: entry.offset, length: entry.length, extra: entry.prepacked }
      }
      assert.isAbove(yield* grown(raw), 2 * weights)
      assert.isBelow(yield* grown(packed), weights)
      assert.isBelow(anonymous() - start, weights)
    }).pipe(Effect.provide(layerCapi))
  )
})
