/**
 * Opening models: what a reference means, and that files which contradict each other fail by name.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { openSafetensors, writeSafetensors } from "@swarm/tensor"
import { builtIn, type Family, registerFamily } from "../src/index.ts"
import { fixtures, open, openError, temporaryFolder } from "./support/fixtures.ts"
import { ggufFile, value } from "./support/ggufFile.ts"
import { type Config, type Entries, variant as variantOf } from "./support/variant.ts"

/** A copy of a reference model with another configuration or other tensors. */
const variant = (name: string, change: (config: Config) => void, tensors?: (entries: Entries) => Entries): string =>
  variantOf(path.join("families", name), change, tensors)

const unchanged = () => {}

describe("a reference", () => {
  it("names the embedded model", () => {
    const model = open("tiny")
    assert.strictEqual(model.name, "tiny")
    assert.strictEqual(model.blocks, 8)
    assert.strictEqual(model.hiddenSize, 192)
    assert.strictEqual(model.vocabSize, 1024)
    assert.strictEqual(model.contextLength, 1024)
    assert.isTrue(model.architecture.tiedEmbeddings)
  })

  it("names a folder, a GGUF file or a folder with one", () => {
    const folder = path.join(fixtures, "gguf/q4_0")
    const model = open(folder)
    assert.strictEqual(model.name, "tiny")
    assert.strictEqual(model.digest, open(path.join(folder, "model.gguf")).digest)
    assert.strictEqual(open(path.join(fixtures, "families/qwen3")).name, "qwen3")
  })

  it("that names nothing fails", () => {
    assert.strictEqual(openError("./no/such/model.gguf")._tag, "ModelNotFound")
    assert.strictEqual(openError("nosuchmodel")._tag, "ModelNotFound")
    assert.strictEqual(openError(temporaryFolder())._tag, "ModelNotFound")
    assert.strictEqual(openError(path.join(fixtures, "README.md"))._tag, "ModelNotFound")
  })

  it("to a folder with several GGUF files says so", () => {
    const folder = temporaryFolder()
    for (const name of ["a.gguf", "b.gguf"]) fs.writeFileSync(path.join(folder, name), "")
    assert.match(openError(folder).message, /a\.gguf, b\.gguf/)
  })

  it("to a model of the Hub that is not here says how to get it", () => {
    const before = process.env.HF_HUB_CACHE
    process.env.HF_HUB_CACHE = temporaryFolder()
    const error = openError("owner/name")
    if (before === undefined) delete process.env.HF_HUB_CACHE
    else process.env.HF_HUB_CACHE = before
    assert.strictEqual(error._tag, "NotCached")
    assert.match(error.message, /swarm pull owner\/name/)
  })
})

describe("the digest", () => {
  it("is that of the weights, not of the files that hold them", () => {
    const shards = path.join(fixtures, "families/llama-gqa")
    const folder = temporaryFolder()
    fs.copyFileSync(path.join(shards, "config.json"), path.join(folder, "config.json"))
    const entries = fs
      .readdirSync(shards)
      .filter((name) => name.startsWith("model-"))
      .map((name) => openSafetensors(path.join(shards, name)))
      .flatMap((file) =>
        [...file.tensors.values()].map(({ name, type, shape }) => ({ name, type, shape, data: file.read(name) }))
      )
    writeSafetensors(path.join(folder, "model.safetensors"), entries)
    assert.strictEqual(open(folder).digest, open(shards).digest)
  })

  it("differs for other bytes and for another configuration", () => {
    const original = open(path.join(fixtures, "families/llama-linear-rope")).digest
    const other = variant("llama-linear-rope", unchanged, ([first, ...rest]) => {
      if (first === undefined) return rest
      const data = new Uint8Array(first.data.byteLength)
      return [{ ...first, data }, ...rest]
    })
    assert.notStrictEqual(open(other).digest, original)
    const longer = variant("llama-linear-rope", (config) => {
      config.rope_parameters = { rope_type: "linear", rope_theta: 10000, factor: 2 }
    })
    assert.notStrictEqual(open(longer).digest, original)
  })
})

describe("features without a form fail by the name of their field", () => {
  it.each<[string, (config: Config) => void, RegExp]>([
    ["gpt2", (c) => (c.scale_attn_by_inverse_layer_idx = true), /"scale_attn_by_inverse_layer_idx".*as true/],
    ["gpt2", (c) => (c.activation_function = "relu6"), /"relu6" of field "activation_function"/],
    ["bloom", (c) => (c.apply_residual_connection_post_layernorm = true), /"apply_residual_connection_post_layernorm"/],
    ["bert", (c) => (c.position_embedding_type = "relative_key"), /"position_embedding_type".*"relative_key"/],
    ["bert", (c) => (c.is_decoder = true), /"is_decoder"/],
    ["gemma2", (c) => (c.layer_types = ["a", "b", "c"]), /"a" of field "layer_types"/],
    ["gemma2", (c) => (c.use_bidirectional_attention = true), /"use_bidirectional_attention"/]
  ])("%s %s", (name, change, message) => {
    const error = openError(variant(name, (config) => void change(config)))
    assert.strictEqual(error._tag, "Unsupported")
    assert.match(error.message, message)
  })

  it.each<[string, (config: Config) => void, RegExp]>([
    ["mixtral", (c) => (c.num_local_experts = 5), /gate\.weight.*\[4,64\].*\[5,64\]/],
    ["mixtral", (c) => (c.num_local_experts = 1e9), /num_local_experts/],
    ["mixtral", (c) => (c.num_experts_per_tok = 5), /num_experts_per_tok/],
    ["qwen2-moe", (c) => (c.mlp_only_layers = [1]), /layers\.1\.mlp\.gate_proj.*missing/],
    ["phi3", (c) => (c.rope_scaling = { type: "longrope", short_factor: [1, 2] }), /short_factor.*2 values for 8/],
    ["gpt2", (c) => (c.n_positions = 300), /wpe\.weight.*\[256,64\].*\[300,64\]/],
    ["gpt2", (c) => (c.n_inner = 128), /c_fc\.weight.*\[64,256\].*\[128,64\]/],
    ["falcon-40b", (c) => (c.num_kv_heads = 1), /query_key_value\.weight/]
  ])("%s with sizes that its tensors do not have: %s", (name, change, message) => {
    const error = openError(variant(name, (config) => void change(config)))
    assert.include(["ConfigurationError", "WeightMismatch"], error._tag)
    assert.match(error.message, message)
  })
})

describe("files that contradict each other fail by name", () => {
  it.each<[string, (config: Config) => void, string, RegExp]>([
    ["no model type", (c) => delete c.model_type, "ConfigurationError", /model_type.*missing/],
    [
      "an unknown architecture",
      (c) => (c.model_type = "gpt5"),
      "UnknownArchitecture",
      /gpt5.*known are bert, .*llama, mistral, mixtral/
    ],
    ["a size in words", (c) => (c.hidden_size = "64"), "ConfigurationError", /hidden_size.*"64"/],
    ["a size of 2^60", (c) => (c.hidden_size = 2 ** 60), "ConfigurationError", /hidden_size/],
    ["2^60 blocks", (c) => (c.num_hidden_layers = 2 ** 60), "ConfigurationError", /num_hidden_layers/],
    ["half a block", (c) => (c.num_hidden_layers = 1.5), "ConfigurationError", /num_hidden_layers/],
    ["no heads", (c) => (c.num_attention_heads = 0), "ConfigurationError", /num_attention_heads/],
    ["three of four heads", (c) => (c.num_key_value_heads = 3), "ConfigurationError", /num_key_value_heads/],
    ["a negative epsilon", (c) => (c.rms_norm_eps = -1), "ConfigurationError", /rms_norm_eps/],
    ["an unknown activation", (c) => (c.hidden_act = "relu6"), "Unsupported", /relu6/],
    ["an unknown rotary scaling", (c) => (c.rope_parameters = { rope_type: "x" }), "Unsupported", /"x"/],
    [
      "linear without factor",
      (c) => (c.rope_parameters = { rope_type: "linear" }),
      "ConfigurationError",
      /rope_parameters\.factor/
    ],
    ["rotary settings in words", (c) => (c.rope_parameters = "linear"), "ConfigurationError", /rope_parameters/],
    [
      "another hidden size",
      (c) => (c.hidden_size = 32),
      "WeightMismatch",
      /model\.embed_tokens\.weight.*\[192,64\].*\[192,32\]/
    ],
    ["another vocabulary", (c) => (c.vocab_size = 191), "WeightMismatch", /embed_tokens/],
    ["another head dimension", (c) => (c.head_dim = 8), "WeightMismatch", /layers\.0\.self_attn\.q_proj/],
    ["a missing block", (c) => (c.num_hidden_layers = 4), "WeightMismatch", /layers\.3\..*missing/],
    ["a block too many", (c) => (c.num_hidden_layers = 2), "WeightMismatch", /layers\.2\..*no place/],
    ["biases that are not there", (c) => (c.attention_bias = true), "WeightMismatch", /q_proj\.bias.*missing/],
    ["tied embeddings turned off", (c) => (c.tie_word_embeddings = false), "", /^$/]
  ])("%s", (_, change, tag, message) => {
    const folder = variant("llama-linear-rope", (config) => void change(config))
    if (tag === "") return assert.strictEqual(open(folder).architecture.tiedEmbeddings, false)
    const error = openError(folder)
    assert.strictEqual(error._tag, tag)
    assert.match(error.message, message)
  })

  it("a tensor that the architecture does not know, and one of integers", () => {
    const extra = {
      name: "model.layers.0.mlp.gate_proj.bias",
      type: "f32" as const,
      shape: [112],
      data: new Float32Array(112)
    }
    const more = openError(variant("llama-linear-rope", unchanged, (entries) => [...entries, extra]))
    assert.match(more.message, /gate_proj\.bias.*no place/)
    const integers = variant("llama-linear-rope", unchanged, (entries) =>
      entries.map((entry) => (entry.name === "model.norm.weight" ? { ...entry, type: "i16" as const } : entry))
    )
    assert.match(openError(integers).message, /model\.norm\.weight.*i16/)
  })

  it("a buffer of older software is no weight", () => {
    const extra = {
      name: "model.layers.0.self_attn.rotary_emb.inv_freq",
      type: "f32" as const,
      shape: [8],
      data: new Float32Array(8)
    }
    open(variant("llama-linear-rope", unchanged, (entries) => [...entries, extra]))
  })

  it("a configuration that is no JSON, and weights that are not there", () => {
    const folder = temporaryFolder()
    fs.writeFileSync(path.join(folder, "config.json"), "{")
    assert.strictEqual(openError(folder)._tag, "FormatError")
    fs.writeFileSync(path.join(folder, "config.json"), "[1]")
    assert.match(openError(folder).message, /not a JSON object/)
    fs.copyFileSync(path.join(fixtures, "families/qwen3/config.json"), path.join(folder, "config.json"))
    assert.strictEqual(openError(folder)._tag, "FormatError")
  })

  it("GGUF metadata without an architecture, with an unknown one, or without its sizes", () => {
    const write = (metadata: ReadonlyArray<readonly [string, Buffer]>) => {
      const file = path.join(temporaryFolder(), "m.gguf")
      fs.writeFileSync(file, ggufFile({ metadata }))
      return file
    }
    assert.match(openError(write([])).message, /general\.architecture.*missing/)
    const unknown = openError(write([["general.architecture", value.string("rwkv")]]))
    assert.match(unknown.message, /rwkv.*llama.*qwen2.*qwen3/)
    const empty = openError(write([["general.architecture", value.string("llama")]]))
    assert.match(empty.message, /llama\.block_count.*missing/)
  })
})

describe("registerFamily", () => {
  it("lets a program read its own kind of model", () => {
    const [llama] = builtIn
    const dialect = llama.huggingFace
    const own: Family = { name: "own", ...(dialect && { huggingFace: { ...dialect, types: ["own-llama"] } }) }
    const folder = variant("llama-yarn", (config) => {
      config.model_type = "own-llama"
    })
    assert.strictEqual(openError(folder)._tag, "UnknownArchitecture")
    registerFamily(own)
    assert.strictEqual(open(folder).blocks, 3)
  })
})
