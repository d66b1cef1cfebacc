/**
 * Runs one block over calibration rows: its outputs, and the Hessians of its matrices.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { DeviceTensor, EngineError, Service as EngineService } from "@swarm/engine"
import type { SpanPlan } from "@swarm/model"
import { type ExternalData, graph } from "@swarm/onnx"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { floats } from "../buffers.ts"

/** Adds to the sums of x xᵀ of a matrix, by the name of its initializer: f64 (K, K). */
export type Hessians = Map<string, Float64Array>

const SUFFIX = "/x"

/**
 * Runs the plan of one block over rows: f32 (windows, tokens, hidden), each window a text of its own, and returns the
 * outputs, fresh. Where `hessians` is given, each dense matrix adds 2 x xᵀ / rows of its inputs to its sum there.
 *
 * `folder` holds the block's weights meanwhile. One window is in memory beside the rows.
 */
export const runBlock = (
  engine: EngineService,
  plan: SpanPlan,
  rows: Float32Array,
  tokens: number,
  folder: string,
  hessians?: Hessians
): Effect.Effect<Float32Array, EngineError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const locate = writeWeights(plan, path.join(folder, "block.bin"))
      const observe = hessians !== undefined
      const model = plan.graph({ sessions: 1, duplicate: false, observe }, locate)
      const program = yield* engine.load({ model, folder })
      const make = makeTensors(engine)
      yield* Effect.addFinalizer(() => Effect.sync(make.free))
      const binding = program.bind()
      yield* Effect.addFinalizer(() => Effect.sync(binding.close))
      const x = make.tensor([1, tokens, plan.hiddenSize])
      const y = make.tensor([1, tokens, plan.hiddenSize])
      binding.input("x", x)
      binding.output("y", y)
      binding.input("last_0", make.integer(tokens - 1))
      binding.input("total_0", make.integer(tokens))
      for (const part of ["k", "v"]) {
        const cache = make.tensor([1, plan.kvHeads, tokens, plan.headDim])
        binding.input(`past_${part}_${plan.from}_0`, cache)
        binding.output(`present_${part}_${plan.from}_0`, cache)
      }
      const squares: Array<() => Promise<void>> = []
      const columns = new Map(plan.initializers.map(({ name, shape }) => [name, shape[1] ?? 0]))
      for (const output of program.outputs.filter((name) => name.endsWith(SUFFIX))) {
        const name = output.slice(0, -SUFFIX.length)
        const width = columns.get(name) ?? 0
        const seen = make.tensor([1, tokens, width])
        binding.output(output, seen)
        squares.push(
          yield* squareOf(engine, make, seen, width, sumOf(hessians, name, width), 2 / (rows.length / plan.hiddenSize))
        )
      }
      const out = new Float32Array(rows.length)
      const size = tokens * plan.hiddenSize
      for (let at = 0; at < rows.length; at += size) {
        floats(x).set(rows.subarray(at, at + size))
        yield* Effect.promise(() => binding.run())
        out.set(floats(y), at)
        for (const add of squares) yield* Effect.promise(add)
      }
      return out
    })
  )

const sumOf = (hessians: Hessians | undefined, name: string, width: number): Float64Array => {
  const sum = hessians?.get(name) ?? new Float64Array(width * width)
  hessians?.set(name, sum)
  return sum
}

/** x: f32 (1, tokens, K) on the device -> adds `factor` xᵀ x to the sum. */
const squareOf = (
  engine: EngineService,
  make: ReturnType<typeof makeTensors>,
  x: DeviceTensor,
  width: number,
  sum: Float64Array,
  factor: number
): Effect.Effect<() => Promise<void>, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const g = graph({ name: "square" })
    const input = g.input("x", "f32", [1, "tokens", width])
    const turned = g.node("Transpose", [input], { attributes: { perm: { ints: [0, 2, 1] } } })
    g.output(g.node("MatMul", [turned, input], { name: "square" }), "f32", [1, width, width])
    const program = yield* engine.load({ model: g.bytes() })
    const binding = program.bind()
    yield* Effect.addFinalizer(() => Effect.sync(binding.close))
    const square = make.tensor([1, width, width])
    binding.input("x", x)
    binding.output("square", square)
    return async () => {
      await binding.run()
      const values = floats(square)
      for (let i = 0; i < sum.length; i++) sum[i]! += factor * values[i]!
    }
  })

/** Tensors that are freed together. */
const makeTensors = (engine: EngineService) => {
  const made: Array<DeviceTensor> = []
  const keep = (tensor: DeviceTensor): DeviceTensor => {
    made.push(tensor)
    return tensor
  }
  return {
    tensor: (shape: ReadonlyArray<number>) => keep(engine.tensor("f32", shape)),
    integer: (value: number) => {
      const tensor = keep(engine.tensor("i32", [1]))
      if (tensor.data instanceof Int32Array) tensor.data[0] = value
      return tensor
    },
    free: () => {
      for (const tensor of made) tensor.free()
    }
  }
}

/** Writes the initializers of a plan, one after the other. */
const writeWeights = (plan: SpanPlan, file: string): ((name: string) => ExternalData) => {
  const places = new Map<string, ExternalData>()
  const descriptor = fs.openSync(file, "w")
  try {
    let at = 0
    for (const { name, read } of plan.initializers) {
      const { buffer, byteOffset, byteLength } = read()
      const bytes = new Uint8Array(buffer, byteOffset, byteLength)
      for (let done = 0; done < byteLength; )
        done += fs.writeSync(descriptor, bytes, done, byteLength - done, at + done)
      places.set(name, { location: path.basename(file), offset: at, length: byteLength })
      at += Math.ceil(byteLength / 4096) * 4096
    }
  } finally {
    fs.closeSync(descriptor)
  }
  return (name) => {
    const place = places.get(name)
    if (place === undefined) throw new RangeError(`There is no initializer "${name}"`)
    return place
  }
}
