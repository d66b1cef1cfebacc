import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { loadHead, loadSpan, probeRows } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect } from "effect"

const EXACT = { weights: "f32", activations: "f32" } as const

/** A cache of its own; gone with the scope. */
const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-weights-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Loads two blocks of the embedded model, gives their fingerprint, and frees them. */
const loadTwo = (weightFolder: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const model = yield* openModel("tiny")
      return (yield* loadSpan(model, 2, 4, { ...EXACT, weightFolder })).digest
    })
  )

/** The logits of fixed rows. */
const headLogits = (weightFolder: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const head = yield* loadHead(yield* openModel("tiny"), { ...EXACT, weightFolder })
      return yield* Effect.promise(() => head.logits(probeRows(3, head.hiddenSize)))
    })
  )

/** The only entry of a cache. */
const entryOf = (folder: string): string => {
  const names = fs.readdirSync(folder)
  assert.lengthOf(names, 1, names.join(", "))
  return path.join(folder, names[0] ?? "")
}

const indexOf = (folder: string): string => path.join(entryOf(folder), "index.json")

const packedOf = (folder: string): string => {
  const { index } = JSON.parse(fs.readFileSync(indexOf(folder), "utf8"))
  return path.join(entryOf(folder), index.location)
}

/** Changes one bit of a file. */
const flip = (file: string, at: number, bit: number) => {
  const bytes = fs.readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  fs.writeFileSync(file, bytes)
}

const edit = (file: string, change: (index: { entries: Record<string, object> }) => void) => {
  const sealed = JSON.parse(fs.readFileSync(file, "utf8"))
  change(sealed.index)
  fs.writeFileSync(file, JSON.stringify(sealed))
}

/** The last entry of the rotary table of cosines: far beyond what a probe reaches. */
const lastCosine = (folder: string): number => {
  const { index } = JSON.parse(fs.readFileSync(indexOf(folder), "utf8"))
  const { offset, length } = index.entries["rotary_0.cos"]
  return offset + length - 1
}

layer(Engine.layer, { excludeTestServices: true })("the weight cache", (it) => {
  it.scoped("is read by the second load", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const first = yield* loadTwo(folder)
      const before = fs.statSync(packedOf(folder))
      const second = yield* loadTwo(folder)
      assert.strictEqual(second, first)
      const after = fs.statSync(packedOf(folder))
      assert.deepStrictEqual([after.ino, after.mtimeMs], [before.ino, before.mtimeMs])
    })
  )

  const harm: ReadonlyArray<readonly [what: string, act: (folder: string) => void]> = [
    ["weights cut short", (folder) => fs.truncateSync(packedOf(folder), 5000)],
    [
      "weights that lack the last byte",
      (folder) => fs.truncateSync(packedOf(folder), fs.statSync(packedOf(folder)).size - 1)
    ],
    ["no weights", (folder) => fs.rmSync(packedOf(folder))],
    ["a bit that a probe does not see", (folder) => flip(packedOf(folder), lastCosine(folder), 6)],
    ["a bit of the padding", (folder) => flip(packedOf(folder), lastCosine(folder) + 1, 0)],
    ["an index cut short", (folder) => fs.truncateSync(indexOf(folder), 40)],
    ["no index", (folder) => fs.rmSync(indexOf(folder))],
    [
      "an index that lacks a weight",
      (folder) =>
        edit(indexOf(folder), ({ entries }) => {
          delete entries[Object.keys(entries)[0] ?? ""]
        })
    ],
    [
      "an index with another place",
      (folder) =>
        edit(indexOf(folder), ({ entries }) => {
          const [first, second] = Object.keys(entries)
          entries[first ?? ""] = entries[second ?? ""] ?? {}
        })
    ]
  ]
  for (const [what, act] of harm)
    it.scoped(`is made anew after ${what}`, () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const first = yield* loadTwo(folder)
        const whole = fs.readFileSync(packedOf(folder))
        act(folder)
        assert.strictEqual(yield* loadTwo(folder), first)
        assert.isTrue(fs.readFileSync(packedOf(folder)).equals(whole))
      })
    )

  it.scoped("is made once by loads at the same time", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const [first, second] = yield* Effect.all([loadTwo(folder), loadTwo(folder)], { concurrency: "unbounded" })
      assert.strictEqual(first, second)
      entryOf(folder)
    })
  )

  it.scoped("of a head is made anew when it is damaged", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const first = yield* headLogits(folder)
      flip(packedOf(folder), 1, 7)
      assert.deepStrictEqual(yield* headLogits(folder), first)
    })
  )

  it.scoped("keeps what other processes are writing, and sweeps up after those that died", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      // no process has so high an id
      for (const pid of [process.pid, 2 ** 22 + 1]) fs.mkdirSync(path.join(folder, `.new-${pid}-0000`))
      yield* loadTwo(folder)
      assert.deepStrictEqual(
        fs.readdirSync(folder).filter((name) => name.startsWith(".")),
        [`.new-${process.pid}-0000`]
      )
    })
  )

  it.scoped("that cannot be written is a typed failure which names it", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporary, "file")
      fs.writeFileSync(file, "")
      const failure = yield* Effect.flip(loadTwo(path.join(file, "cache")))
      assert.strictEqual(failure._tag, "WeightCacheError")
      assert.include(failure.message, file)
    })
  )
})
