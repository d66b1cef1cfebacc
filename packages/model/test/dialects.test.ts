/**
 * The same model in another layout is the same model.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { openSafetensors, writeSafetensors } from "@swarm/tensor"
import { type Architecture, builtIn, type Model, registerFamily, rotaryFrequencies } from "../src/index.ts"
import { makeChain } from "./support/chain.ts"
import { toGguf } from "./support/convert.ts"
import { expectedOf, fixtures, open, relativeError, temporaryFolder } from "./support/fixtures.ts"
import { conversions, convertFamily, gemma3 } from "./support/ggufFamilies.ts"
import { value } from "./support/ggufFile.ts"

/** Whether `model` gives the logits of the reference model `name`. */
const assertGives = async (model: Model, name: string): Promise<void> => {
  const expected = expectedOf(path.join(fixtures, "families", name), model.blocks)
  const chain = await makeChain(model, [0, model.blocks], { activations: "f32" })
  const x = model.embedding().lookup(expected.ids)
  const [y = x] = await chain.step(chain.open(expected.ids.length), 0, x)
  assert.isBelow(relativeError(await chain.head.logits(y), expected.logits), 1e-4)
}

describe("as GGUF", () => {
  const yarn = [
    ["llama.rope.scaling.type", value.string("yarn")],
    ["llama.rope.scaling.factor", value.f32(4)],
    ["llama.rope.scaling.original_context_length", value.u32(32)]
  ] as const
  const linear = [
    ["llama.rope.scaling.type", value.string("linear")],
    ["llama.rope.scaling.factor", value.f32(4)]
  ] as const
  it.each([
    ["llama-gqa", "llama", []],
    ["llama-biased-mha", "llama", []],
    ["llama-yarn", "llama", yarn],
    ["llama-linear-rope", "llama", linear],
    ["llama-linear-rope", "llama", [["llama.rope.scale_linear", value.f32(4)]]],
    ["mistral-window", "llama", [["llama.attention.sliding_window", value.u32(16)]]],
    ["qwen2", "qwen2", []],
    ["qwen3", "qwen3", []]
  ] as const)("%s as %s", async (name, type, extra) => {
    const folder = path.join(fixtures, "families", name)
    const { architecture } = open(folder)
    await assertGives(open(toGguf(folder, architecture, type, extra)), name)
  })

  it.each(Object.entries(conversions))("%s, as its converter writes it", async (name, conversion) => {
    const folder = path.join(fixtures, "families", name)
    await assertGives(open(convertFamily(folder, open(folder).architecture, conversion)), name)
  })

  it("gemma3: a block with a window, and the rotary embeddings of both kinds", async () => {
    const folder = path.join(fixtures, "families/gemma3")
    const { architecture } = open(folder)
    const model = open(convertFamily(folder, architecture, gemma3))
    const { ids, hidden } = expectedOf(folder, 3)
    const chain = await makeChain(model, [0, 1], { activations: "f32" })
    const x = model.embedding().lookup(ids)
    const [y = x] = await chain.step(chain.open(ids.length), 0, x)
    assert.isBelow(relativeError(y, hidden[1] ?? x), 1e-4)
    assert.deepStrictEqual(model.architecture.rotaries, architecture.rotaries)
  })

  it("llama3 scaling as rotary factors", async () => {
    const folder = path.join(fixtures, "families/llama-tied-llama3-rope")
    const { architecture } = open(folder)
    const [rotary] = architecture.rotaries
    assert.isDefined(rotary)
    const scaled = rotaryFrequencies(rotary)
    const { scaling: _, ...plain } = rotary
    const factors = Array.from(rotaryFrequencies(plain), (frequency, i) => frequency / (scaled[i] ?? 1))
    const model = open(toGguf(folder, architecture, "llama", [], factors))
    assert.isTrue(model.architecture.tiedEmbeddings)
    await assertGives(model, "llama-tied-llama3-rope")
  })
})

describe("with q, k, v in one tensor", () => {
  it("each role is a part of its rows, biases too", async () => {
    const source = path.join(fixtures, "families/llama-biased-mha")
    const file = openSafetensors(path.join(source, "model.safetensors"))
    const folder = temporaryFolder()
    const config = JSON.parse(fs.readFileSync(path.join(source, "config.json"), "utf8"))
    fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify({ ...config, model_type: "fused-llama" }))
    const entries = [...file.tensors.values()]
      .filter(({ name }) => !/[kv]_proj/.test(name))
      .map(({ name, type, shape: [rows = 0, ...rest] }) => {
        if (!name.includes("q_proj")) return { name, type, shape: [rows, ...rest], data: file.read(name) }
        const parts = ["q_proj", "k_proj", "v_proj"].map((part) => file.read(name.replace("q_proj", part)))
        return { name: name.replace("q_proj", "qkv"), type, shape: [3 * rows, ...rest], data: Buffer.concat(parts) }
      })
    writeSafetensors(path.join(folder, "model.safetensors"), entries)
    const part = (index: number) => (a: Architecture) => {
      const size = a.attention.heads * a.attention.headDim
      return { name: "model.layers.{}.self_attn.qkv", from: index * size, to: (index + 1) * size }
    }
    const { describe: describeLlama, tensors } = builtIn[0].huggingFace ?? assert.fail()
    registerFamily({
      name: "fused-llama",
      huggingFace: {
        types: ["fused-llama"],
        describe: describeLlama,
        tensors: { ...tensors, "attn.q": part(0), "attn.k": part(1), "attn.v": part(2) }
      }
    })
    await assertGives(open(folder), "llama-biased-mha")
  })
})
