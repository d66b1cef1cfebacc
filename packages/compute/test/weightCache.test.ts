import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect } from "effect"
import { cacheLimit, markUsed, trimCache } from "../src/weightCache.ts"

let root: string
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-cache-"))
})
afterEach(() => {
  fs.rmSync(root, { recursive: true, force: true })
  delete process.env.SWARM_CACHE_LIMIT
})

/** A folder of 1000 bytes that was last used `age` seconds ago. */
const put = (name: string, age: number): string => {
  const folder = path.join(root, name)
  fs.mkdirSync(folder)
  const time = Date.now() / 1000 - age
  for (const [file, bytes] of [["packed.bin", 900] as const, ["index.json", 100] as const]) {
    fs.writeFileSync(path.join(folder, file), Buffer.alloc(bytes))
    fs.utimesSync(path.join(folder, file), time, time)
  }
  return folder
}

const names = () => fs.readdirSync(root).sort()

describe("trimCache", () => {
  it("removes the least recently used folders, as many as it takes", () => {
    const [b, , c] = [put("b", 300), put("a", 100), put("c", 200)]
    put(".new-1-x", 1000)
    assert.deepStrictEqual(trimCache(root, 3000), [])
    assert.deepStrictEqual(trimCache(root, 1500), [b, c])
    assert.deepStrictEqual(names(), [".new-1-x", "a"])
    trimCache(root, 0)
    assert.deepStrictEqual(names(), [".new-1-x"])
  })

  it("counts a mark as a use", () => {
    const old = put("old", 300)
    put("new", 100)
    fs.writeFileSync(path.join(old, "use-999999999"), "")
    trimCache(root, 1500)
    assert.deepStrictEqual(names(), ["old"])
  })

  it("a new mark takes the place of those of processes that have ended", () => {
    const folder = put("a", 0)
    for (const user of [999_999_999, process.ppid]) fs.writeFileSync(path.join(folder, `use-${user}`), "")
    markUsed(folder)
    const marks = fs.readdirSync(folder).filter((name) => name.startsWith("use-"))
    assert.deepStrictEqual(marks.sort(), [`use-${process.pid}`, `use-${process.ppid}`].sort())
  })

  it("leaves what a live process uses, until it has ended", async () => {
    const used = put("used", 300)
    const mine = put("mine", 200)
    put("other", 100)
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"])
    fs.writeFileSync(path.join(used, `use-${child.pid}`), "")
    markUsed(mine)
    trimCache(root, 0)
    assert.deepStrictEqual(names(), ["mine", "used"])
    child.kill("SIGKILL")
    await once(child, "exit")
    trimCache(root, 0)
    assert.deepStrictEqual(names(), ["mine"])
  })
})

describe("cacheLimit", () => {
  it("is a number of bytes, 20 GB by default", () => {
    assert.strictEqual(cacheLimit(), 20e9)
    process.env.SWARM_CACHE_LIMIT = "5e9"
    assert.strictEqual(cacheLimit(), 5e9)
    for (const wrong of ["much", "-1", "NaN"]) {
      process.env.SWARM_CACHE_LIMIT = wrong
      assert.throws(cacheLimit, RangeError)
    }
  })

  it.effect("is kept to when weights are packed, except by those in use", () =>
    Effect.scoped(
      Effect.gen(function* () {
        put("old", 300)
        process.env.SWARM_CACHE_LIMIT = "1"
        const model = yield* openModel("tiny")
        for (const block of [0, 1]) {
          const span = yield* loadSpan(model, block, block + 1, { weightFolder: root })
          assert.isString(span.digest)
        }
        assert.lengthOf(names(), 2)
        assert.notInclude(names(), "old")
        process.env.SWARM_CACHE_LIMIT = "x"
        const error = yield* Effect.flip(loadSpan(model, 0, 1, { weightFolder: root }))
        assert.strictEqual(error._tag, "WeightCacheError")
        assert.include(error.message, "SWARM_CACHE_LIMIT")
      })
    ).pipe(Effect.provide(Engine.layer))
  )
})
