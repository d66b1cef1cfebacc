/**
 * Families of which there is no reference output: random weights under the names that transformers gives them, against a
 * naive evaluation of the descriptor in f64.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { openSafetensors, type TensorToWrite, writeSafetensors } from "@swarm/tensor"
import { type Architecture, builtIn, Fields, type TensorPlace } from "../src/index.ts"
import { blockRoles, modelRoles } from "../src/roles.ts"
import { makeChain } from "./support/chain.ts"
import { open, relativeError, temporaryFolder } from "./support/fixtures.ts"
import { naiveLogits, type Parameter } from "./support/naive.ts"

const sizes = {
  ...{ vocab_size: 96, hidden_size: 64, intermediate_size: 112, num_hidden_layers: 3, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, max_position_embeddings: 128 }
}
const gpt = { vocab_size: 96, n_embd: 64, n_layer: 3, n_head: 4, n_positions: 128 }
const configs: ReadonlyArray<Readonly<Record<string, unknown>> & { readonly model_type: string }> = [
  { ...sizes, model_type: "starcoder2", sliding_window: 12 },
  { ...sizes, model_type: "stablelm", use_qkv_bias: true },
  { ...sizes, model_type: "stablelm", use_parallel_residual: true, rope_theta: 5000 },
  { ...sizes, model_type: "cohere", logit_scale: 0.25 },
  { ...gpt, model_type: "gptj", rotary_dim: 8 },
  { ...sizes, model_type: "phi", num_key_value_heads: 4 },
  { ...sizes, model_type: "opt", ffn_dim: 256 },
  { ...sizes, model_type: "smollm3", no_rope_layers: [1, 0, 1] },
  {
    ...{ ...sizes, model_type: "qwen3_moe", head_dim: 16, num_experts: 8, num_experts_per_tok: 3 },
    ...{ moe_intermediate_size: 64, norm_topk_prob: true, mlp_only_layers: [1] }
  }
]

/** Every parameter by its place, and the same written as a checkpoint. */
const randomModel = (config: (typeof configs)[number]) => {
  const dialect =
    builtIn.map((family) => family.huggingFace).find((one) => one?.types.includes(config.model_type)) ?? assert.fail()
  const fields = Fields.of("config.json", config)
  const nothing = { has: () => false, shape: () => undefined, values: () => undefined }
  const architecture: Architecture = dialect.describe({ fields, ...nothing }, config.model_type)
  const known = new Map<string, ReadonlyArray<Float64Array>>()
  const tensors: Array<TensorToWrite> = []
  let state = 7
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  const add = (role: string, place: TensorPlace | string, shape: ReadonlyArray<number>, block = 0, expert = 0) => {
    const stem = typeof place === "string" ? place : place.name
    const columns = shape.at(-1) ?? 1
    const data = Float32Array.from({ length: shape.reduce((product, extent) => product * extent, 1) }, () =>
      shape.length === 1 ? 1 + 0.3 * random() : (1.6 * random()) / Math.sqrt(columns)
    )
    const name = stem.replace("{}", `${block}`).replace("{expert}", `${expert}`)
    tensors.push({ name: `${name}.${role.split(".").at(-1)}`, type: "f32", shape: [...shape], data })
    const rows = Array.from({ length: data.length / columns }, (_, r) =>
      Float64Array.from(data.subarray(r * columns, (r + 1) * columns))
    )
    known.set(`${role}/${block}/${expert}`, rows)
  }
  const addAll = (roles: ReturnType<typeof modelRoles> | ReturnType<typeof blockRoles>, block = 0) => {
    for (const [role, { shape, bias, experts = 1 }] of roles) {
      for (let expert = 0; expert < experts; expert++) {
        const entry = dialect.tensors[role] ?? assert.fail(`no name for ${role}`)
        const place = typeof entry === "function" ? entry(architecture, expert) : entry
        add(`${role}.weight`, place, shape, block, expert)
        if (bias) add(`${role}.bias`, place, shape.slice(0, 1), block, expert)
      }
    }
  }
  addAll(modelRoles(architecture))
  for (let block = 0; block < architecture.blocks; block++) addAll(blockRoles(architecture, block), block)
  const folder = temporaryFolder()
  fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify(config))
  writeSafetensors(path.join(folder, "model.safetensors"), tensors)
  const parameter: Parameter = (name, block = 0, expert = 0) => {
    const tied = name === "head.weight" && architecture.tiedEmbeddings ? "embedding.weight" : name
    return known.get(`${tied}/${block}/${expert}`)
  }
  return { folder, architecture, parameter }
}

describe.each(configs)("$model_type", (config) => {
  it("computes what its descriptor means, in chunks too", async () => {
    const { folder, architecture, parameter } = randomModel(config)
    const ids = Array.from({ length: 24 }, (_, i) => (i * 31 + 5) % 96)
    const expected = naiveLogits(architecture, parameter, ids)
    const model = open(folder)
    assert.deepStrictEqual(model.architecture, architecture)
    const chain = await makeChain(model, [0, 2, 3], { activations: "f32" })
    const kv = chain.open(ids.length)
    const embedding = model.embedding()
    const rows: Array<number> = []
    for (let at = 0; at < ids.length; at += 7) {
      const results = await chain.step(kv, at, embedding.lookup(ids.slice(at, at + 7), at))
      rows.push(...(results.at(-1) ?? []))
    }
    const logits = await chain.head.logits(Float32Array.from(rows))
    assert.isBelow(relativeError(logits, expected), 1e-4)
  })
})

describe("a reference model", () => {
  it("is what the naive evaluation says, which is thereby checked", () => {
    const folder = path.join(import.meta.dirname, "../../../test/fixtures/families/qwen3")
    const file = openSafetensors(path.join(folder, "model.safetensors"))
    const expected = openSafetensors(path.join(folder, "expected.safetensors"))
    const { architecture } = open(folder)
    const names = builtIn.find(({ name }) => name === "qwen3")?.huggingFace?.tensors ?? assert.fail()
    const parameter: Parameter = (name, block = 0) => {
      const at = name.lastIndexOf(".")
      const stem = Object.entries(names).find(([role]) => role === name.slice(0, at))?.[1]
      if (typeof stem !== "string") return undefined
      const tensor = `${stem.replace("{}", `${block}`)}${name.slice(at)}`
      const found = file.tensors.get(tensor)
      if (found === undefined) return undefined
      const values = file.readFloat32(tensor)
      const columns = found.shape.at(-1) ?? 1
      return Array.from({ length: values.length / columns }, (_, r) =>
        Float64Array.from(values.subarray(r * columns, (r + 1) * columns))
      )
    }
    const ids = Array.from(expected.readArray("input_ids"), Number)
    assert.isBelow(relativeError(naiveLogits(architecture, parameter, ids), expected.readFloat32("logits")), 1e-5)
  })
})
