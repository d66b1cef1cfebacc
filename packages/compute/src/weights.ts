/**
 * Weights on disk in the form that the kernels map: written once per span, format, runtime and kind of processor,
 * then shared by every program and process of the machine through the page cache (DESIGN section 4).
 * @module
 */
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Service as Engine, EngineError } from "@swarm/engine"
import type { Initializer } from "@swarm/model"
import type { ExternalData } from "@swarm/onnx"
import * as Effect from "effect/Effect"
import { WeightCacheError } from "./ComputeError.ts"

/** Raise when the layout of the cache changes. */
const LAYOUT = 2
const PAGE = 4096
const INDEX = "index.json"
const PACKED = "packed.bin"
const RAW = "raw.bin"

/** Weights ready to load. */
export interface Weights {
  readonly folder: string
  /** Bytes that a run reads: what stands in memory once it has run. */
  readonly bytes: number
  readonly locate: (name: string) => ExternalData
}

/** What weights are made of and for. */
export interface WeightsRequest {
  /** Everything that the bytes depend on besides runtime and processor: model digest, blocks, formats. */
  readonly key: ReadonlyArray<string | number>
  readonly initializers: ReadonlyArray<Initializer>
  /** The graph to pack by; every initializer must occur in it. */
  readonly graph: (locate: (name: string) => ExternalData) => Uint8Array
}

interface Index {
  readonly location: string
  readonly bytes: number
  readonly entries: Record<
    string,
    { readonly offset: number; readonly length: number; readonly extra?: Record<string, string> }
  >
}

/** The cache folder: `SWARM_CACHE`, else `swarm` in the user's cache folder. */
export const cacheFolder = (): string =>
  process.env["SWARM_CACHE"] ?? path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "swarm")

/**
 * Finds the weights in the cache or writes them: initializer by initializer, so that no more than one is in memory.
 * Two processes may do so at once; the first to finish wins and both use its folder.
 */
export const prepareWeights = (
  engine: Engine,
  request: WeightsRequest,
  root = path.join(cacheFolder(), "packed")
): Effect.Effect<Weights, EngineError | WeightCacheError> =>
  Effect.gen(function* () {
    const layout = request.initializers.map(({ name, type, shape }) => [name, type, shape])
    const key = createHash("sha256")
      .update(
        JSON.stringify([
          LAYOUT,
          engine.info.layer,
          engine.info.runtime,
          engine.info.instructionSet,
          ...request.key,
          layout
        ])
      )
      .digest("hex")
      .slice(0, 32)
    const folder = path.join(root, key)
    const existing = readIndex(folder)
    if (existing !== undefined) return fromIndex(folder, existing)
    const attempt = <A>(run: () => A) =>
      Effect.try({ try: run, catch: (cause) => new WeightCacheError({ folder: root, detail: String(cause), cause }) })
    const temporary = yield* attempt(() => {
      fs.mkdirSync(root, { recursive: true })
      sweep(root)
      const made = path.join(root, `.new-${process.pid}-${randomBytes(4).toString("hex")}`)
      fs.mkdirSync(made)
      return made
    })
    const write = Effect.gen(function* () {
      const raw: Index = yield* writeRaw(request.initializers, temporary, root)
      let index: Index = raw
      if (engine.pack !== undefined) {
        const packed = yield* engine.pack({ model: request.graph(locator(raw)), folder: temporary }, PACKED)
        const entries: Index["entries"] = {}
        for (const [name, { offset, length, prepacked }] of packed.entries)
          entries[name] = { offset, length, extra: { ...prepacked } }
        index = { location: packed.location, bytes: packed.mappedBytes, entries }
        yield* attempt(() => fs.rmSync(path.join(temporary, RAW), { force: true }))
      }
      return yield* attempt(() => {
        fs.writeFileSync(path.join(temporary, INDEX), JSON.stringify(index))
        try {
          fs.renameSync(temporary, folder)
        } catch (cause) {
          // another process was first: its folder is as good as ours
          if (readIndex(folder) === undefined) throw cause
        }
        return fromIndex(folder, index)
      })
    })
    return yield* write.pipe(Effect.ensuring(Effect.sync(() => fs.rmSync(temporary, { recursive: true, force: true }))))
  })

const fromIndex = (folder: string, index: Index): Weights => ({
  folder,
  bytes: index.bytes,
  locate: locator(index)
})

const locator =
  (index: Index) =>
  (name: string): ExternalData => {
    const entry = index.entries[name]
    if (entry === undefined) throw new RangeError(`Cannot locate weight "${name}": the index lacks it`)
    return { location: index.location, ...entry }
  }

/** The index of a finished folder; undefined if it is absent or its file is not as long as it says. */
const readIndex = (folder: string): Index | undefined => {
  try {
    const index = JSON.parse(fs.readFileSync(path.join(folder, INDEX), "utf8")) as Index
    const size = fs.statSync(path.join(folder, index.location)).size
    return Object.values(index.entries).every((entry) => entry.offset + entry.length <= size) ? index : undefined
  } catch {
    return undefined
  }
}

const writeRaw = (initializers: ReadonlyArray<Initializer>, folder: string, root: string) =>
  Effect.gen(function* () {
    const entries: Index["entries"] = {}
    let at = 0
    const file = yield* Effect.try({
      try: () => fs.openSync(path.join(folder, RAW), "wx"),
      catch: (cause) => new WeightCacheError({ folder: root, detail: String(cause), cause })
    })
    for (const initializer of initializers) {
      yield* Effect.try({
        try: () => {
          const { buffer, byteOffset, byteLength } = initializer.read()
          const data = new Uint8Array(buffer, byteOffset, byteLength)
          at = Math.ceil(at / PAGE) * PAGE
          entries[initializer.name] = { offset: at, length: data.byteLength }
          for (let done = 0; done < data.byteLength; )
            done += fs.writeSync(file, data, done, data.byteLength - done, at + done)
          at += data.byteLength
        },
        catch: (cause) => {
          fs.closeSync(file)
          return new WeightCacheError({ folder: root, detail: `"${initializer.name}": ${String(cause)}`, cause })
        }
      })
      // conversion takes seconds on large models: other work gets its turn
      yield* Effect.yieldNow()
    }
    fs.closeSync(file)
    return { location: RAW, bytes: at, entries }
  })

/** Removes what processes that no longer live have left half-written. */
const sweep = (root: string): void => {
  for (const name of fs.readdirSync(root)) {
    const owner = /^\.new-(\d+)-/.exec(name)?.[1]
    if (owner === undefined) continue
    try {
      process.kill(Number(owner), 0)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ESRCH")
        fs.rmSync(path.join(root, name), { recursive: true, force: true })
    }
  }
}
