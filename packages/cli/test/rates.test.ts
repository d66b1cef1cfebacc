import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Span } from "@swarm/compute"
import { oracleSpan } from "@swarm/testing"
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest"
import { ratesOf } from "../src/rates.ts"

describe("ratesOf", () => {
  let folder = ""
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-rates-"))
    vi.stubEnv("SWARM_CACHE", folder)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    fs.rmSync(folder, { recursive: true, force: true })
  })
  const counted = (digest: string): { readonly span: Span; readonly runs: () => number } => {
    let runs = 0
    const span = oracleSpan({ from: 0, to: 2, hiddenSize: 4, before: () => void runs++ })
    return { span: { ...span, digest }, runs: () => runs }
  }

  it("measures a span once, another one and another number of threads anew", async () => {
    const { span, runs } = counted("a")
    const rates = await ratesOf(span, 1)
    const measured = runs()
    assert.isAbove(measured, 0)
    assert.deepEqual(await ratesOf(span, 1), rates)
    assert.strictEqual(runs(), measured)
    await ratesOf(span, 2)
    assert.strictEqual(runs(), 2 * measured)
    const other = counted("b")
    await ratesOf(other.span, 1)
    assert.strictEqual(other.runs(), measured)
  })

  it("does not believe a file that is damaged or old, and needs none", async () => {
    const { span, runs } = counted("a")
    await ratesOf(span, 1)
    const measured = runs()
    const [name] = fs.readdirSync(path.join(folder, "rates"))
    const file = path.join(folder, "rates", String(name))
    for (const text of ["{", '{"decodeRate":-1,"prefillRate":2}', "null"]) {
      fs.writeFileSync(file, text)
      assert.isAbove((await ratesOf(span, 1)).decodeRate, 0)
    }
    assert.strictEqual(runs(), 4 * measured)
    fs.utimesSync(file, 0, 0)
    await ratesOf(span, 1)
    assert.strictEqual(runs(), 5 * measured)
    vi.stubEnv("SWARM_CACHE", file)
    assert.isAbove((await ratesOf(span, 1)).prefillRate, 0)
  })
})
