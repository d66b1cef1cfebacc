/**
 * What every engine must do, as a suite that any layer can be put through.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import type { ExternalData } from "@swarm/onnx"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type DeviceTensor, Engine, type Program, type Service } from "./Engine.ts"
import type { EngineError, RunError } from "./EngineError.ts"
import * as graphs from "./internal/complianceGraphs.ts"

/** What to test. */
export interface Options {
  readonly name: string
  readonly layer: Layer.Layer<Engine, EngineError>
  /** Whether the layer can `pack`. */
  readonly packs: boolean
}

const floats = (tensor: DeviceTensor): Float32Array => {
  if (!(tensor.data instanceof Float32Array)) throw new TypeError("not f32")
  return tensor.data
}

const fill = (engine: Service, shape: ReadonlyArray<number>, values: ArrayLike<number>): DeviceTensor => {
  const tensor = engine.tensor("f32", shape)
  floats(tensor).set(values)
  return tensor
}

const scalar = (engine: Service, value: number): DeviceTensor => {
  const tensor = engine.tensor("i32", [1])
  if (tensor.data instanceof Int32Array) tensor.data[0] = value
  return tensor
}

const failure = (run: () => Promise<void>): Effect.Effect<RunError, void> =>
  Effect.flip(Effect.tryPromise({ try: run, catch: (error) => error as RunError }))

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-engine-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Runs `program` once with input "x" and output "y". */
const once = (engine: Service, program: Program, x: DeviceTensor, shape: ReadonlyArray<number>) =>
  Effect.promise(async () => {
    const binding = program.bind()
    const y = engine.tensor("f32", shape)
    binding.input("x", x)
    binding.output("y", y)
    await binding.run()
    const result = Array.from(floats(y))
    binding.close()
    y.free()
    return result
  })

const status = (field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024

/** Defines the suite. Call at the top level of a test file. */
export const engine = (options: Options): void => {
  layer(options.layer, { excludeTestServices: true })(`${options.name} is an Engine`, (it) => {
    it.scoped("says what it is", () =>
      Effect.gen(function* () {
        const { info, pack } = yield* Engine
        assert.match(info.runtime, /^\S+ \d+\.\d+/)
        assert.match(info.instructionSet, new RegExp(`^${process.arch}-.`))
        assert.strictEqual(pack !== undefined, options.packs)
      })
    )

    it.scoped("runs a graph over bound tensors, again with what they hold then", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const program = yield* engine.load({ model: graphs.addOne() })
        assert.deepStrictEqual([program.inputs, program.outputs], [["x"], ["y"]])
        const x = fill(engine, [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])
        const y = engine.tensor("f32", [2, 4])
        assert.deepStrictEqual([x.type, x.shape, x.bytes], ["f32", [2, 4], 32])
        assert.deepStrictEqual(Array.from(floats(y)), Array(8).fill(0))
        const binding = program.bind()
        binding.input("x", x)
        binding.output("y", y)
        yield* Effect.promise(() => binding.run())
        assert.deepStrictEqual(Array.from(floats(y)), [2, 3, 4, 5, 6, 7, 8, 9])
        floats(x).fill(-1)
        yield* Effect.promise(() => binding.run())
        assert.deepStrictEqual(Array.from(floats(y)), Array(8).fill(0))
        const other = fill(engine, [1, 4], [9, 9, 9, 9])
        const short = engine.tensor("f32", [1, 4])
        binding.input("x", other)
        binding.output("y", short)
        yield* Effect.promise(() => binding.run())
        assert.deepStrictEqual(Array.from(floats(short)), [10, 10, 10, 10])
      })
    )

    it.scoped("keeps resident caches in place: chunks of tokens give what all at once give", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const { capacity, headDim, heads, kvHeads } = graphs.attentionShape
        const tokens = 11
        const width = kvHeads * headDim
        const q = graphs.noise(tokens * heads * headDim, 1)
        const k = graphs.noise(tokens * width, 2)
        const v = graphs.noise(tokens * width, 3)
        const program = yield* engine.load({ model: graphs.attention() })
        const attend = (chunks: ReadonlyArray<number>, cache: () => DeviceTensor) =>
          Effect.promise(async () => {
            const binding = program.bind()
            for (const name of ["k", "v"]) {
              const tensor = cache()
              binding.input(`past_${name}`, tensor)
              binding.output(`present_${name}`, tensor)
            }
            const result: Array<number> = []
            let from = 0
            for (const count of chunks) {
              const to = from + count
              const part = (all: Float32Array, columns: number) =>
                fill(engine, [1, count, columns], all.subarray(from * columns, to * columns))
              binding.input("q", part(q, heads * headDim))
              binding.input("k", part(k, width))
              binding.input("v", part(v, width))
              binding.input("last", scalar(engine, to - 1))
              binding.input("total", scalar(engine, to))
              const y = engine.tensor("f32", [1, count, heads * headDim])
              binding.output("y", y)
              await binding.run()
              result.push(...floats(y))
              from = to
            }
            binding.close()
            return result
          })
        const shape = [1, kvHeads, capacity, headDim]
        const resident = () => engine.tensor("f32", shape, { resident: true })
        assert.strictEqual(resident().data, undefined)
        const expected = graphs.attentionReference(q, k, v, tokens)
        const whole = yield* attend([tokens], resident)
        for (const chunks of [[tokens], [4, 5, 2], Array<number>(tokens).fill(1)]) {
          const result = yield* attend(chunks, resident)
          assert.strictEqual(result.length, expected.length)
          assert.isBelow(Math.max(...result.map((value, i) => Math.abs(value - (expected[i] ?? NaN)))), 1e-5)
        }
        // a cache of recycled memory: attention must not read beyond the tokens that it was given
        const dirty = yield* attend([4, 7], () => fill(engine, shape, Array(kvHeads * capacity * headDim).fill(NaN)))
        assert.isBelow(Math.max(...dirty.map((value, i) => Math.abs(value - (whole[i] ?? NaN)))), 1e-5)
      })
    )

    it.scoped("leaves the event loop free during a run", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const size = 512
        const program = yield* engine.load({ model: graphs.longWork(size, 60) })
        const x = fill(engine, [size, size], [1])
        let ticks = 0
        const timer = setInterval(() => ticks++, 1)
        const y = yield* once(engine, program, x, [size, size])
        clearInterval(timer)
        assert.strictEqual(y.indexOf(1), 60)
        assert.isAbove(ticks, 3)
      })
    )

    it.scoped("runs two programs at once", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const programs = [
          yield* engine.load({ model: graphs.addOne() }),
          yield* engine.load({ model: graphs.addOne() })
        ]
        const runs = programs.flatMap((program, i) =>
          Array.from({ length: 10 }, (_, j) =>
            once(engine, program, fill(engine, [1, 4], Array(4).fill(10 * i + j)), [1, 4])
          )
        )
        const results = yield* Effect.all(runs, { concurrency: "unbounded" })
        assert.deepStrictEqual(
          results,
          results.map((_, i) => Array(4).fill(i + 1))
        )
      })
    )

    it.scoped("runs with several threads, waiting actively or not", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        for (const options of [{ threads: 2 }, { threads: 2, spinning: true }]) {
          const program = yield* engine.load({ model: graphs.longWork(64, 3) }, options)
          const y = yield* once(engine, program, fill(engine, [64, 64], [1]), [64, 64])
          assert.strictEqual(y.indexOf(1), 3)
        }
        assert.throws(() => engine.load({ model: graphs.addOne() }, { threads: 0 }), RangeError)
      })
    )

    it.scoped("reads external data by offset and length", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const folder = yield* temporaryFolder
        fs.writeFileSync(path.join(folder, "weights"), Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7))
        const model = graphs.addExternal({ location: "weights", offset: 16, length: 16 })
        const program = yield* engine.load({ model, folder })
        assert.deepStrictEqual(yield* once(engine, program, fill(engine, [4], [1, 1, 1, 1]), [4]), [5, 6, 7, 8])
      })
    )

    it.scoped("fails with the runtime's own message", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const folder = yield* temporaryFolder
        const corrupt = yield* Effect.flip(engine.load({ model: new Uint8Array(64).fill(0xff) }))
        assert.deepInclude(corrupt, { _tag: "LoadError", reason: "graph" })
        assert.match(corrupt.message, /protobuf/i)
        const truncated = graphs.addOne()
        assert.strictEqual((yield* Effect.flip(engine.load({ model: truncated.subarray(0, 90) })))._tag, "LoadError")
        const absent = graphs.addExternal({ location: "no-such-file", offset: 0, length: 16 })
        assert.match((yield* Effect.flip(engine.load({ model: absent, folder }))).message, /no-such-file/)
        fs.writeFileSync(path.join(folder, "short"), Float32Array.of(1))
        const short = graphs.addExternal({ location: "short", offset: 0, length: 16 })
        assert.strictEqual((yield* Effect.flip(engine.load({ model: short, folder })))._tag, "LoadError")

        const program = yield* engine.load({ model: graphs.addOne() })
        const binding = program.bind()
        const y = engine.tensor("f32", [2, 4])
        binding.output("y", y)
        assert.match((yield* failure(binding.run)).message, /"x"/)
        binding.input("x", engine.tensor("f32", [2, 5]))
        const shape = yield* failure(binding.run)
        assert.strictEqual(shape._tag, "RunError")
        assert.match(shape.detail, /invalid dimensions|shape/i)
        binding.input("x", engine.tensor("i32", [2, 4]))
        assert.match((yield* failure(binding.run)).detail, /type/i)
        // the binding is as good as before
        binding.input("x", engine.tensor("f32", [2, 4]))
        yield* Effect.promise(() => binding.run())
        assert.deepStrictEqual(Array.from(floats(y)), Array(8).fill(1))
      })
    )

    it.scoped("refuses unknown names, impossible shapes, and tensors that are freed or foreign", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const program = yield* engine.load({ model: graphs.addOne() })
        const binding = program.bind()
        const x = engine.tensor("f32", [1, 4])
        assert.throws(() => binding.input("y", x), RangeError)
        assert.throws(() => binding.output("x", x), RangeError)
        for (const shape of [[-1], [0.5], [2 ** 60], [2 ** 30, 2 ** 30]]) {
          assert.throws(() => engine.tensor("f32", shape), RangeError)
        }
        const foreign: DeviceTensor = { ...x, free: () => undefined }
        assert.throws(() => binding.input("x", foreign), TypeError)
        binding.input("x", x)
        binding.output("y", engine.tensor("f32", [1, 4]))
        x.free()
        x.free()
        assert.match((yield* failure(binding.run)).detail, /freed/)
        binding.close()
        binding.close()
        assert.match((yield* failure(binding.run)).detail, /closed/)
      })
    )

    it.scoped("ends a run in flight before it closes the program, and keeps its tensors until then", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const scope = yield* Scope.make()
        const size = 256
        const program = yield* engine.load({ model: graphs.longWork(size, 60) }).pipe(Scope.extend(scope))
        const binding = program.bind()
        const x = fill(engine, [size, size], [1])
        const y = engine.tensor("f32", [size, size])
        binding.input("x", x)
        binding.output("y", y)
        const ended = yield* Deferred.make<number>()
        const running = binding.run().then(() => Effect.runSync(Deferred.succeed(ended, floats(y).indexOf(1))))
        assert.match((yield* failure(binding.run)).detail, /running/)
        x.free()
        y.free()
        binding.close()
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(yield* Deferred.isDone(ended))
        yield* Effect.promise(() => running)
        assert.strictEqual(yield* Deferred.await(ended), 60)
        assert.throws(() => program.bind(), TypeError)
      })
    )

    it.scoped("gives back what it took, over many cycles", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const model = graphs.longWork(64, 3)
        const cycle = Effect.scoped(
          Effect.gen(function* () {
            const program = yield* engine.load({ model })
            const x = fill(engine, [64, 64], [1])
            const cache = engine.tensor("f32", [2 ** 20], { resident: true })
            yield* once(engine, program, x, [64, 64])
            x.free()
            cache.free()
          })
        )
        const handles = () => process.getActiveResourcesInfo().length
        const files = () => (process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : 0)
        yield* Effect.repeatN(cycle, 20)
        const before = { handles: handles(), files: files(), memory: process.memoryUsage.rss() }
        yield* Effect.repeatN(cycle, 150)
        assert.isAtMost(handles(), before.handles + 2)
        assert.isAtMost(files(), before.files + 2)
        assert.isBelow(process.memoryUsage.rss() - before.memory, 100 * 2 ** 20)
      })
    )

    it.scoped.skipIf(process.platform !== "linux")(
      "takes no memory for a resident tensor that no run has touched",
      () =>
        Effect.gen(function* () {
          const engine = yield* Engine
          const before = status("VmRSS")
          const tensors = Array.from({ length: 8 }, () => engine.tensor("f32", [2 ** 25], { resident: true }))
          // a run behind the allocations: a layer may make them elsewhere, in order
          const program = yield* engine.load({ model: graphs.addOne() })
          yield* once(engine, program, fill(engine, [1, 4], [1]), [1, 4])
          assert.isBelow(status("VmRSS") - before, 200 * 2 ** 20)
          for (const tensor of tensors) tensor.free()
        })
    )

    it.scoped("packs weights that give the same bits in every graph, and leaves nothing else behind", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        if (engine.pack === undefined) return
        const folder = yield* temporaryFolder
        const raw = graphs.writeLinears(folder, "raw.bin")
        const find = (entries: ReadonlyMap<string, ExternalData>) => (name: string) => {
          const entry = entries.get(name)
          if (entry === undefined) throw new Error(`no entry for "${name}"`)
          return entry
        }
        const source = { model: graphs.linears(1, find(raw)), folder }
        const packed = yield* engine.pack(source, "packed.bin")
        assert.deepStrictEqual(fs.readdirSync(folder).sort(), ["packed.bin", "raw.bin"])
        assert.strictEqual(fs.statSync(path.join(folder, packed.location)).size, packed.bytes)
        assert.deepStrictEqual([...packed.entries.keys()].sort(), [...raw.keys()].sort())
        assert.isAbove(packed.mappedBytes, 0)
        assert.isBelow(packed.mappedBytes, packed.bytes)
        const entries = new Map<string, ExternalData>()
        for (const [name, { length, offset, prepacked }] of packed.entries) {
          assert.strictEqual(offset % 4096, 0)
          assert.strictEqual(length, raw.get(name)?.length)
          entries.set(name, { location: packed.location, offset, length, extra: prepacked })
        }
        const { inputs, outputs } = graphs.linearShape
        for (const [sessions, rows] of [
          [1, 1],
          [1, 6],
          [2, 2],
          [2, 6]
        ] as const) {
          const x = fill(engine, [1, rows, inputs], graphs.noise(rows * inputs, 5))
          const results: Array<Array<number>> = []
          for (const located of [raw, entries]) {
            const model = graphs.linears(sessions, find(located))
            const program = yield* engine.load({ model, folder })
            results.push(yield* once(engine, program, x, [1, rows, outputs]))
          }
          assert.isTrue(results[0]?.every(Number.isFinite))
          assert.deepStrictEqual(results[1], results[0])
        }
        const missing = yield* Effect.flip(engine.pack({ model: source.model, folder: path.join(folder, "no") }, "x"))
        assert.strictEqual(missing._tag, "PackError")
      })
    )
  })
}
