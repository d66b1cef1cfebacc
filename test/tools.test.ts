/**
 * The tools that decide whether everything else passed: they must not lose a failure, a process or a lock.
 * @module
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import os from "node:os"
import path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { run } from "../tools/internal/command.mjs"
import { withLock } from "../tools/internal/lock.mjs"
import { root } from "./run-script.ts"

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "swarm-tools-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("running a command", () => {
  const script = (source: string, options = {}) => run(process.execPath, ["-e", source], options)

  it("gives its code and both of its outputs", async () => {
    const outcome = await script("console.log('out'); console.error('err'); process.exitCode = 3")
    assert.strictEqual(outcome.code, 3)
    assert.sameMembers(outcome.output.split("\n"), ["out", "err"])
  })
  it("fails for a command that is not there", async () => {
    assert.strictEqual((await run(path.join(folder, "nothing"), [])).code, 127)
  })
  it("ends what does not end", async () => {
    const outcome = await script("setInterval(() => {}, 1000)", { timeoutMs: 300 })
    assert.strictEqual(outcome.code, 124)
    assert.include(outcome.output, "stopped after 0.3 s")
  })
  it.skipIf(process.platform === "win32")("finds and ends what a command leaves behind", async () => {
    const left = "const c = require('child_process').spawn('sleep', ['300'], { stdio: 'ignore' }); console.log(c.pid)"
    const outcome = await script(`${left}; c.unref()`)
    assert.strictEqual(outcome.code, 125)
    const [id, note] = outcome.output.split("\n")
    assert.strictEqual(note, `left behind: ${id} sleep 300`)
    const state = spawnSync("ps", ["-o", "stat=", "-p", String(id)], { encoding: "utf8" }).stdout.trim()
    assert.match(state, /^(Z.*)?$/)
  })
})

describe("the lock of a setup", () => {
  const wait = () => new Promise((resolve) => setTimeout(resolve, 20))

  it("lets one holder in at a time", async () => {
    const file = path.join(folder, "lock")
    let inside = 0
    let most = 0
    const turn = () =>
      withLock(
        file,
        () => {},
        async () => {
          most = Math.max(most, ++inside)
          await wait()
          inside--
        }
      )
    await Promise.all([turn(), turn(), turn()])
    assert.strictEqual(most, 1)
    assert.isFalse(existsSync(file))
  })
  it("is given up by a holder that fails", async () => {
    const file = path.join(folder, "failed")
    const failure = await withLock(
      file,
      () => {},
      () => Promise.reject(new Error("inside"))
    ).catch((error: unknown) => error)
    assert.instanceOf(failure, Error)
    assert.isFalse(existsSync(file))
  })
  it("is not kept by a dead process", async () => {
    const file = path.join(folder, "dead")
    const { pid } = spawnSync(process.execPath, ["-e", ""])
    writeFileSync(file, `${os.hostname()} ${pid} abc\n`)
    let waited = false
    const result = await withLock(
      file,
      () => {
        waited = true
      },
      async () => "done"
    )
    assert.strictEqual(result, "done")
    assert.isFalse(waited)
  })
})

describe("the reporter", () => {
  it("counts tests, and what breaks outside of them", () => {
    const suite = mkdtempSync(path.join(folder, "suite-"))
    const head = 'import { afterAll, assert, beforeAll, describe, it } from "vitest"\n'
    const files = {
      "load.test.ts": 'import "./nothing.ts"',
      "empty.test.ts": "export {}",
      "before.test.ts": `${head}describe("d", () => { beforeAll(() => { throw new Error("x") }); it("a", () => {}) })`,
      "after.test.ts": `${head}describe("d", () => { afterAll(() => { throw new Error("x") }); it("b", () => {}) })`,
      "skips.test.ts": `${head}it("p", () => {}); it("f", () => assert.fail()); it.skip("s", () => {}); it.todo("t")
        describe.skip("d", () => { it("x", () => {}) }); it.fails("expected", () => assert.fail())`,
      "floating.test.ts": `${head}it("ok", async () => { Promise.reject(new Error("x")); await new Promise(setImmediate) })`,
      "vitest.config.ts": "export default {}"
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(suite, name), text)
    symlinkSync(path.join(root, "node_modules"), path.join(suite, "node_modules"), "junction")
    const report = path.join(suite, "report.json")
    const vitest = path.join(root, "node_modules/vitest/vitest.mjs")
    const reporter = path.join(root, "tools/reporter.ts")
    const { status } = spawnSync(process.execPath, [vitest, "run", "--root", suite, "--reporter", reporter], {
      cwd: suite,
      env: { ...process.env, SWARM_TEST_REPORT: report, VITEST: "" }
    })
    assert.strictEqual(status, 1)
    const { passed, failed, skipped } = JSON.parse(readFileSync(report, "utf8"))
    assert.deepStrictEqual({ passed, failed, skipped }, { passed: 4, failed: 6, skipped: 4 })
  })
})
