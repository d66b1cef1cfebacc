/**
 * The models under `test/fixtures` with outputs of other software, and ways to run them.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { localPipeline } from "@swarm/client"
import type { Head } from "@swarm/compute"
import { openSafetensors } from "@swarm/tensor"
import { argmaxRow, floats, integers } from "./tensors.ts"

type Pipeline = ReturnType<typeof localPipeline>

/** A model and where its expected outputs are. */
export interface FixtureModel {
  readonly name: string
  /** Reference to open. */
  readonly model: string
  readonly expected: string
}

const FIXTURES = path.join(import.meta.dirname, "../fixtures")

/** Every model of a folder that has outputs; `file`: what to open in its folder. */
const modelsIn = (folder: string, file = ""): ReadonlyArray<FixtureModel> =>
  fs
    .readdirSync(path.join(FIXTURES, folder))
    .map((name) => ({
      name: folder === "families" ? name : `${folder} ${name}`,
      model: path.join(FIXTURES, folder, name, file),
      expected: path.join(FIXTURES, folder, name, "expected.safetensors")
    }))
    .filter(({ expected }) => fs.existsSync(expected))

/** Families, quantized checkpoints, GGUF files. */
export const fixtureModels: ReadonlyArray<FixtureModel> = [
  ...modelsIn("families"),
  ...modelsIn("quant"),
  ...modelsIn("gguf", "model.gguf")
]

/** What a model must give: `hidden`, the output of each block (tokens, hidden); `greedyIds`, empty for an encoder. */
export const expectedOf = ({ expected }: FixtureModel, blocks: number) => {
  const file = openSafetensors(expected)
  const hidden = floats(file, "hidden")
  const size = hidden.length / (blocks + 1)
  return {
    ids: integers(file, "input_ids"),
    hidden: Array.from({ length: blocks }, (_, block) => hidden.subarray((block + 1) * size, (block + 2) * size)),
    logits: floats(file, "logits"),
    greedyIds: file.tensors.has("greedy_ids") ? integers(file, "greedy_ids") : []
  }
}

/** Feeds `ids` in steps of `chunk` tokens and gives the output rows of all. */
export const feed = async (pipeline: Pipeline, head: Head, ids: ReadonlyArray<number>, chunk: number) => {
  const rows: Array<number> = []
  for (let at = 0; at < ids.length; at += chunk) {
    rows.push(...(await pipeline.forward(head.embed(ids.slice(at, at + chunk), at), "all")))
  }
  return Float32Array.from(rows)
}

/** The first choices that follow `ids`. */
export const greedy = async (pipeline: Pipeline, head: Head, ids: ReadonlyArray<number>, count: number) => {
  const out: Array<number> = []
  if (count === 0) return out
  let rows = await pipeline.forward(head.embed(ids), "last")
  while (out.length < count) {
    const id = argmaxRow(await head.logits(rows), 0, head.vocabSize)
    out.push(id)
    if (out.length < count) rows = await pipeline.forward(head.embed([id], pipeline.position()), "last")
  }
  return out
}
