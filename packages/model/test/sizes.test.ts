import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { blocksThatFit, builtIn, kvBytesPerToken, openArchitecture, parameters } from "../src/index.ts"

/** The fields of published `config.json` files that sizes depend on, and the numbers of parameters published with them. */
const published = [
  {
    name: "Llama-2-70B",
    total: 68_976_648_192,
    block: 855_654_400,
    config: {
      model_type: "llama",
      hidden_size: 8192,
      intermediate_size: 28672,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      vocab_size: 32000,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: false
    }
  },
  {
    name: "Llama-3.1-405B",
    total: 405_853_388_800,
    block: 3_187_703_808,
    config: {
      model_type: "llama",
      hidden_size: 16384,
      intermediate_size: 53248,
      num_hidden_layers: 126,
      num_attention_heads: 128,
      num_key_value_heads: 8,
      vocab_size: 128256,
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      rope_scaling: {
        factor: 8,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: "llama3"
      },
      tie_word_embeddings: false
    }
  },
  {
    name: "BLOOM-176B",
    total: 176_247_271_424,
    block: 2_466_437_120,
    config: {
      model_type: "bloom",
      n_embed: 14336,
      n_layer: 70,
      num_attention_heads: 112,
      vocab_size: 250880,
      seq_length: 2048,
      layer_norm_epsilon: 1e-5,
      apply_residual_connection_post_layernorm: false
    }
  },
  {
    name: "Falcon-180B",
    total: 179_522_565_120,
    block: 2_219_894_784,
    config: {
      model_type: "falcon",
      hidden_size: 14848,
      num_hidden_layers: 80,
      num_attention_heads: 232,
      num_kv_heads: 8,
      vocab_size: 65024,
      new_decoder_architecture: true,
      multi_query: true,
      parallel_attn: true,
      alibi: false,
      bias: false,
      layer_norm_epsilon: 1e-5,
      // its files hold an output matrix, which the count includes
      tie_word_embeddings: false
    }
  },
  {
    name: "Granite-20B",
    total: 20_066_993_152,
    block: 379_128_064,
    config: {
      model_type: "gpt_bigcode",
      n_embd: 6144,
      n_layer: 52,
      n_head: 48,
      n_inner: 24576,
      n_positions: 8192,
      vocab_size: 49152,
      multi_query: true,
      activation_function: "gelu_pytorch_tanh",
      layer_norm_epsilon: 1e-5
    }
  }
] as const

const known = new Set<string>(builtIn.flatMap((family) => family.huggingFace?.types ?? []))

let root: string
beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "sizes-"))
})
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

const describeConfig = (name: string, config: object) => {
  const folder = path.join(root, name)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify(config))
  return folder
}

describe("a model that is only a config.json", () => {
  for (const { name, config, total, block } of published) {
    it.effect.skipIf(!known.has(config.model_type))(`${name} has the published number of parameters`, () =>
      Effect.gen(function* () {
        const folder = describeConfig(name, config)
        const opened = yield* openArchitecture(folder)
        assert.strictEqual(opened.name, name)
        assert.isUndefined(opened.model)
        const counts = parameters(opened.architecture)
        assert.strictEqual(counts.block, block)
        assert.strictEqual(counts.total, total)
        assert.deepStrictEqual(yield* openArchitecture(path.join(folder, "config.json")), opened)
      })
    )
  }

  it.effect("an unknown or broken description is a typed error that names it", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(openArchitecture(describeConfig("unknown", { model_type: "nonsense" })))
      assert.strictEqual(unknown._tag, "UnknownArchitecture")
      const broken = yield* Effect.flip(openArchitecture(describeConfig("broken", { model_type: "llama" })))
      assert.strictEqual(broken._tag, "ConfigurationError")
      assert.strictEqual((yield* Effect.flip(openArchitecture(path.join(root, "no.json"))))._tag, "ModelNotFound")
    })
  )

  it.effect("a folder with weights is opened whole", () =>
    Effect.map(openArchitecture("tiny"), ({ architecture, model }) =>
      assert.strictEqual(model?.architecture, architecture)
    )
  )
})

describe("what fits", () => {
  const MiB = 2 ** 20
  it.effect("is what Petals computes from the same sizes", () =>
    Effect.gen(function* () {
      const { architecture } = yield* openArchitecture(describeConfig("llama", published[0].config))
      const { blocks, hiddenSize } = architecture
      // Petals: 16-bit caches of 16,384 tokens (8 times 2048), 2 GiB for training at BLOOM's width, 1 % on top of weights
      const cache = (kvBytesPerToken(architecture) / 2) * 16384
      assert.strictEqual(cache, 64 * MiB)
      const reserved = (2048 * MiB * hiddenSize) / 14336
      const fit = (gigabytes: number, bytesPerValue: number) =>
        blocksThatFit({
          memory: gigabytes * 1024 * MiB,
          reserved,
          weights: parameters(architecture).block * bytesPerValue * 1.01,
          cache,
          blocks
        })
      assert.deepStrictEqual(
        [2, 1, 4.25 / 8].map((bytes) => fit(24, bytes)),
        [13, 26, 46]
      )
      assert.deepStrictEqual(
        [2, 1, 4.25 / 8].map((bytes) => fit(8, bytes)),
        [4, 7, 13]
      )
    })
  )

  it("is between none and all blocks", () => {
    assert.strictEqual(blocksThatFit({ memory: 1e6, weights: 1e6, cache: 0, blocks: 4 }), 0)
    assert.strictEqual(blocksThatFit({ memory: 1e12, weights: 1e6, cache: 0, blocks: 4 }), 4)
    assert.strictEqual(blocksThatFit({ memory: 152e6, weights: 1e6, cache: 0, blocks: 4 }), 2)
  })
})
