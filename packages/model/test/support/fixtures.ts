/**
 * Reference models and what other software makes of them.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "@effect/vitest"
import { openSafetensors } from "@swarm/tensor"
import * as Effect from "effect/Effect"
import { type Model, openModel } from "../../src/index.ts"

export const fixtures = fileURLToPath(new URL("../../../../test/fixtures", import.meta.url))
export const tinyFolder = fileURLToPath(new URL("../../models/tiny", import.meta.url))

/** The real model, if it is on this machine. */
export const smollm2 = [
  process.env.SWARM_SMOLLM2,
  path.join(os.homedir(), ".cache/swarm/models/SmolLM2-135M-Instruct.Q4_1.gguf")
].find((file): file is string => file !== undefined && fs.existsSync(file))

export const open = (reference: string): Model => Effect.runSync(openModel(reference))

/** The typed error with which `reference` fails to open. */
export const openError = (reference: string) => Effect.runSync(Effect.flip(openModel(reference)))

export interface Expected {
  readonly ids: ReadonlyArray<number>
  /** Input of block 0, then the output of each block: f32 (tokens, hidden). */
  readonly hidden: ReadonlyArray<Float32Array>
  readonly logits: Float32Array
  /** None of an encoder. */
  readonly greedy: ReadonlyArray<number>
}

export const expectedOf = (folder: string, blocks: number): Expected => {
  const file = openSafetensors(path.join(folder, "expected.safetensors"))
  const integers = (name: string) => Array.from(file.readArray(name), Number)
  const hidden = file.readFloat32("hidden")
  const size = hidden.length / (blocks + 1)
  return {
    ids: integers("input_ids"),
    hidden: Array.from({ length: blocks + 1 }, (_, i) => hidden.subarray(i * size, (i + 1) * size)),
    logits: file.readFloat32("logits"),
    greedy: file.tensors.has("greedy_ids") ? integers("greedy_ids") : []
  }
}

/** Greatest difference relative to the greatest magnitude of `expected`; NaN counts as infinite. */
export const relativeError = (actual: Float32Array, expected: Float32Array): number => {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let magnitude = 0
  for (let i = 0; i < actual.length; i++) {
    const d = Math.abs((actual[i] ?? 0) - (expected[i] ?? 0))
    if (!(d <= difference)) difference = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d
    magnitude = Math.max(magnitude, Math.abs(expected[i] ?? 0))
  }
  return difference / magnitude
}

/** The lowest index of the greatest value. */
export const argmax = (values: Float32Array): number => {
  let best = 0
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i
  return best
}

const temporary: Array<string> = []
afterAll(() => {
  for (const folder of temporary) fs.rmSync(folder, { recursive: true, force: true })
})

/** A fresh folder, removed behind the tests of the file. */
export const temporaryFolder = (): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-model-"))
  temporary.push(folder)
  return folder
}
