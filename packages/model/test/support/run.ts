/**
 * Runs plans with onnxruntime-node itself, so that the tests of this package depend on no other engine.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { ExternalData } from "@swarm/onnx"
import * as ort from "onnxruntime-node"
import type { HeadPlan, Initializer, SpanPlan } from "../../src/index.ts"
import { temporaryFolder } from "./fixtures.ts"

/** Weights in one file of a temporary folder. */
export interface Stored {
  readonly folder: string
  readonly locate: (name: string) => ExternalData
}

/** Writes initializers one after the other, checking that each has the bytes that it announces. */
export const store = (initializers: ReadonlyArray<Initializer>): Stored => {
  const folder = temporaryFolder()
  const entries = new Map<string, ExternalData>()
  const fd = fs.openSync(path.join(folder, "weights.bin"), "w")
  let offset = 0
  for (const { name, bytes, read } of initializers) {
    const data = read()
    if (data.byteLength !== bytes) throw new Error(`${name}: ${data.byteLength} bytes instead of ${bytes}`)
    fs.writeSync(fd, data, 0, bytes, offset)
    entries.set(name, { location: "weights.bin", offset, length: bytes })
    offset = Math.ceil((offset + bytes) / 4096) * 4096
  }
  fs.ftruncateSync(fd, offset)
  fs.closeSync(fd)
  const locate = (name: string): ExternalData => {
    const entry = entries.get(name)
    if (entry === undefined) throw new Error(`no initializer ${name}`)
    return entry
  }
  return { folder, locate }
}

const load = async (stored: Stored, model: Uint8Array): Promise<ort.InferenceSession> => {
  const file = path.join(stored.folder, `${Math.random()}.onnx`)
  fs.writeFileSync(file, model)
  return ort.InferenceSession.create(file, {
    intraOpNumThreads: 1,
    executionProviders: ["cpu"],
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: "0" } } }
  })
}

/** One session's caches by block, k then v. */
export type Kv = ReadonlyArray<readonly [ort.Tensor, ort.Tensor]>

interface Step {
  readonly kv: Kv
  readonly position: number
  readonly tokens: number
}

export interface SpanRunner {
  readonly plan: SpanPlan
  readonly open: (capacity: number) => Kv
  /** x: rows of the steps; the result is fresh. */
  readonly run: (steps: ReadonlyArray<Step>, x: Float32Array) => Promise<Float32Array>
}

export const runSpan = async (
  plan: SpanPlan,
  options: { readonly sessions?: number; readonly duplicate?: boolean } = {},
  stored: Stored = store(plan.initializers)
): Promise<SpanRunner> => {
  const { sessions = 1, duplicate = false } = options
  const session = await load(stored, plan.graph({ sessions, duplicate }, stored.locate))
  return {
    plan,
    open: (capacity) => {
      const shape = [1, plan.kvHeads, capacity, plan.headDim]
      const empty = () => new ort.Tensor("float32", new Float32Array(plan.kvHeads * capacity * plan.headDim), shape)
      return Array.from({ length: plan.encoder ? 0 : plan.to - plan.from }, () => [empty(), empty()] as const)
    },
    run: async (steps, x) => {
      const rows = x.length / plan.hiddenSize
      const feeds: Record<string, ort.Tensor> = { x: new ort.Tensor("float32", x, [1, rows, plan.hiddenSize]) }
      const fetches: Record<string, ort.Tensor | null> = { y: null }
      if (sessions > 1) {
        feeds.split = new ort.Tensor(
          "int64",
          BigInt64Array.from(steps, (step) => BigInt(step.tokens)),
          [sessions]
        )
      }
      steps.forEach(({ kv, position, tokens }, s) => {
        const n = tokens + (duplicate ? 1 : 0)
        feeds[`last_${s}`] = new ort.Tensor("int32", Int32Array.of(position + n - 1), [1])
        feeds[`total_${s}`] = new ort.Tensor("int32", Int32Array.of(position + n), [1])
        kv.forEach(([k, v], i) => {
          feeds[`past_k_${plan.from + i}_${s}`] = k
          feeds[`past_v_${plan.from + i}_${s}`] = v
          fetches[`present_k_${plan.from + i}_${s}`] = k
          fetches[`present_v_${plan.from + i}_${s}`] = v
        })
      })
      const { y } = await session.run(feeds, fetches)
      return y?.data as Float32Array
    }
  }
}

export interface HeadRunner {
  /** x: f32 (rows, hidden); the result is fresh. */
  readonly logits: (x: Float32Array) => Promise<Float32Array>
}

export const runHead = async (plan: HeadPlan): Promise<HeadRunner> => {
  const stored = store(plan.initializers)
  const session = await load(stored, plan.graph(stored.locate))
  return {
    logits: async (x) => {
      const shape = [x.length / plan.hiddenSize, plan.hiddenSize]
      const { logits } = await session.run({ x: new ort.Tensor("float32", x, shape) })
      return logits?.data as Float32Array
    }
  }
}
