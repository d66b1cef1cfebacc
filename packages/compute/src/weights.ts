/**
 * Weights on disk in the form that the kernels map: written once per span, format, runtime and kind of processor,
 * then shared by every program and process of the machine through the page cache (docs/architecture.md).
 * @module
 */
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { crc32 } from "node:zlib"
import type { Service as Engine, EngineError, PackedWeights } from "@swarm/engine"
import type { Initializer, OffsetFold } from "@swarm/model"
import type { ExternalData } from "@swarm/onnx"
import * as Effect from "effect/Effect"
import { WeightCacheError } from "./ComputeError.ts"
import { cacheLimit, isAlive, markUsed, trimCache } from "./weightCache.ts"

/** Raise when the layout of the cache changes. */
const LAYOUT = 6
const PAGE = 4096
const INDEX = "index.json"
const PACKED = "packed.bin"
const RAW = "raw.bin"
/** Bytes read at a time to check a file. */
const PIECE = 4 * 2 ** 20

/** Weights ready to load. */
export interface Weights {
  readonly folder: string
  /** Bytes that a run reads: what stands in memory once it has run. */
  readonly bytes: number
  /** All offsets are in the packed weights: graphs do without them. */
  readonly folded: boolean
  readonly locate: (name: string) => ExternalData
}

/** What weights are made of and for. */
export interface WeightsRequest {
  /** Everything that the bytes depend on besides runtime and processor: model digest, blocks, formats. */
  readonly key: ReadonlyArray<string | number>
  readonly initializers: ReadonlyArray<Initializer>
  /** Offsets that the engine may put into the packed weights. */
  readonly folds?: ReadonlyArray<OffsetFold>
  /** Whether weights with folded offsets compute what the unpacked ones do; without it nothing is folded. */
  readonly agree?: (plain: Weights, folded: Weights) => Effect.Effect<boolean, EngineError>
  /** The graph to pack by; every initializer must occur in it. */
  readonly graph: (locate: (name: string) => ExternalData) => Uint8Array
}

interface Index {
  readonly location: string
  /** Length of that file. */
  readonly size: number
  readonly bytes: number
  readonly folded: boolean
  readonly entries: Record<
    string,
    { readonly offset: number; readonly length: number; readonly extra?: Record<string, string> }
  >
}

/** The cache folder: `SWARM_CACHE`, else `swarm` in the user's cache folder. */
export const cacheFolder = (): string =>
  process.env.SWARM_CACHE ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "swarm")

/**
 * Finds the weights in the cache or writes them: initializer by initializer, so that no more than one is in memory.
 * Two processes may do so at once; the first to finish wins and both use its folder. Weights whose bytes are not those
 * that were written are made anew: the check reads the file once, 0.6 ms of one core per MB.
 */
export const prepareWeights = (
  engine: Engine,
  request: WeightsRequest,
  root = path.join(cacheFolder(), "packed")
): Effect.Effect<Weights, EngineError | WeightCacheError> =>
  Effect.gen(function* () {
    const lengths = new Map(request.initializers.map(({ name, bytes }) => [name, bytes]))
    // what the weights are and how they are used: packing depends on the graph
    const key = createHash("sha256")
      .update(
        JSON.stringify([LAYOUT, engine.info.layer, engine.info.runtime, engine.info.instructionSet, ...request.key])
      )
      .update(JSON.stringify(request.initializers.map(({ name, type, shape }) => [name, type, shape])))
      .update(request.graph((name) => ({ location: RAW, offset: 0, length: lengths.get(name) ?? 0 })))
      .digest("hex")
      .slice(0, 32)
    const folder = path.join(root, key)
    const failure = (cause: unknown) => new WeightCacheError({ folder: root, detail: messageOf(cause), cause })
    const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: failure })
    const limit = yield* attempt(cacheLimit)
    markUsed(folder)
    const existing = yield* Effect.promise(() => readIndex(folder))
    if (existing !== undefined) return fromIndex(folder, existing)
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
        const source = { model: request.graph(locator(raw)), folder: temporary }
        const packed = yield* engine.pack(source, PACKED, request.agree === undefined ? [] : request.folds)
        index = packedIndex(packed, request.folds ?? [])
        const agree = index.folded ? request.agree?.(fromIndex(temporary, raw), fromIndex(temporary, index)) : undefined
        // a graph adds all offsets or none, so weights that carry only some, or wrongly, are packed anew without
        if (packed.folded.size > 0 && !(yield* agree ?? Effect.succeed(false))) {
          index = packedIndex(yield* engine.pack(source, PACKED), [])
        }
        yield* attempt(() => fs.rmSync(path.join(temporary, RAW), { force: true }))
      }
      const finish = async () => {
        await writeIndex(temporary, index)
        await place(temporary, folder)
        markUsed(folder)
        trimCache(root, limit)
      }
      yield* Effect.tryPromise({ try: finish, catch: failure })
      return fromIndex(folder, index)
    })
    return yield* write.pipe(Effect.ensuring(Effect.sync(() => fs.rmSync(temporary, { recursive: true, force: true }))))
  })

/** The index of a packed file. Offsets count as folded only if all are: a graph adds all or none. */
const packedIndex = (packed: PackedWeights, folds: ReadonlyArray<OffsetFold>): Index => {
  const entries: Index["entries"] = {}
  for (const [name, { offset, length, prepacked }] of packed.entries)
    entries[name] = { offset, length, extra: { ...prepacked } }
  const folded = folds.length > 0 && folds.every(({ weights }) => packed.folded.has(weights))
  const spared = folded ? folds.reduce((sum, { rows, blocks }) => sum + 4 * rows * blocks, 0) : 0
  return { location: packed.location, size: packed.bytes, bytes: packed.mappedBytes - spared, folded, entries }
}

const fromIndex = (folder: string, index: Index): Weights => ({
  folder,
  bytes: index.bytes,
  folded: index.folded,
  locate: locator(index)
})

const locator =
  (index: Index) =>
  (name: string): ExternalData => {
    const entry = index.entries[name]
    if (entry === undefined) throw new RangeError(`Cannot locate weight "${name}": the index lacks it`)
    return { location: index.location, ...entry }
  }

/** What `INDEX` holds. The checksum is that of the weights, then of the index. */
interface Sealed {
  readonly checksum: number
  readonly index: Index
}

const writeIndex = async (folder: string, index: Index): Promise<void> => {
  const sealed: Sealed = { checksum: await checksum(folder, index), index }
  fs.writeFileSync(path.join(folder, INDEX), JSON.stringify(sealed))
}

/** The index of a finished folder; undefined if there is none, or it or the weights are not what was written. */
const readIndex = async (folder: string): Promise<Index | undefined> => {
  try {
    const sealed: Sealed = JSON.parse(fs.readFileSync(path.join(folder, INDEX), "utf8"))
    const { size } = fs.statSync(path.join(folder, sealed.index.location))
    if (size !== sealed.index.size) return undefined
    return (await checksum(folder, sealed.index)) === sealed.checksum ? sealed.index : undefined
  } catch {
    return undefined
  }
}

/** CRC-32: it finds damage, not malice; who can write to the cache of a user is that user. */
const checksum = async (folder: string, index: Index): Promise<number> => {
  const file = await fs.promises.open(path.join(folder, index.location))
  try {
    const piece = Buffer.allocUnsafe(PIECE)
    let sum = 0
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, PIECE)
      if (bytesRead === 0) return crc32(JSON.stringify(index), sum)
      sum = crc32(piece.subarray(0, bytesRead), sum)
    }
  } finally {
    await file.close()
  }
}

/** Puts a finished folder in its place. If another process was first, its folder is as good; a damaged one makes way. */
const place = async (temporary: string, folder: string): Promise<void> => {
  try {
    fs.renameSync(temporary, folder)
  } catch (cause) {
    if ((await readIndex(folder)) !== undefined) return
    if (!fs.existsSync(folder)) throw cause
    const damaged = `${temporary}-damaged`
    fs.renameSync(folder, damaged)
    fs.renameSync(temporary, folder)
    fs.rmSync(damaged, { recursive: true, force: true })
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const writeRaw = (initializers: ReadonlyArray<Initializer>, folder: string, root: string) =>
  Effect.gen(function* () {
    const entries: Index["entries"] = {}
    let at = 0
    const file = yield* Effect.try({
      try: () => fs.openSync(path.join(folder, RAW), "wx"),
      catch: (cause) => new WeightCacheError({ folder: root, detail: messageOf(cause), cause })
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
          return new WeightCacheError({ folder: root, detail: `"${initializer.name}": ${messageOf(cause)}`, cause })
        }
      })
      // conversion takes seconds on large models: other work gets its turn
      yield* Effect.yieldNow()
    }
    fs.closeSync(file)
    return { location: RAW, size: at, bytes: at, folded: false, entries }
  })

/** Removes what processes that no longer live have left half-written or half-removed. */
const sweep = (root: string): void => {
  for (const name of fs.readdirSync(root)) {
    const owner = /^\.(?:new|old)-(\d+)-/.exec(name)?.[1]
    if (owner !== undefined && !isAlive(Number(owner)))
      fs.rmSync(path.join(root, name), { recursive: true, force: true })
  }
}
