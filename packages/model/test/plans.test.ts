/**
 * Weight formats, sizes and the limits of plans.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { writeSafetensors } from "@swarm/tensor"
import {
  type Architecture,
  blockBytes,
  kvBytesPerToken,
  type Model,
  type PlanOptions,
  parameters,
  rotaryFrequencies
} from "../src/index.ts"
import { planHead } from "../src/planHead.ts"
import { planSpan } from "../src/planSpan.ts"
import type { Weights } from "../src/Weights.ts"
import { makeChain } from "./support/chain.ts"
import { expectedOf, fixtures, open, temporaryFolder } from "./support/fixtures.ts"

const qwen3 = open(path.join(fixtures, "families/qwen3"))
const bytesOf = (list: ReadonlyArray<{ readonly bytes: number }>) => list.reduce((sum, { bytes }) => sum + bytes, 0)

/** Difference of `values` from `wanted` relative to the size of `wanted`, both root mean square. */
const distance = (values: Float32Array, wanted: Float32Array): number => {
  const square = (list: Float32Array) => list.reduce((sum, value) => sum + value * value, 0)
  return Math.sqrt(square(values.map((value, i) => value - (wanted[i] ?? 0))) / square(wanted))
}

describe("weight formats", () => {
  const expected = expectedOf(path.join(fixtures, "families/qwen3"), qwen3.blocks)
  const x = qwen3.embedding().lookup(expected.ids)

  /** Error of the hidden states behind the last block. */
  const errorOf = async (options: PlanOptions) => {
    const chain = await makeChain(qwen3, [0, qwen3.blocks], options)
    const [y = x] = await chain.step(chain.open(expected.ids.length), 0, x)
    return distance(y, expected.hidden.at(-1) ?? x)
  }

  it("come as close to the checkpoint as their rounding", async () => {
    const errors = {
      f32: await errorOf({ weights: "f32", activations: "f32" }),
      f16: await errorOf({ weights: "f16", activations: "f32" }),
      q8: await errorOf({ weights: "q8", activations: "f32" }),
      q4: await errorOf({ weights: "q4", activations: "f32" }),
      q4in128: await errorOf({ weights: "q4", group: 128, activations: "f32" }),
      q8int8: await errorOf({ weights: "q8", activations: "int8" })
    }
    assert.isBelow(errors.f32, 2 ** -20)
    assert.isBelow(errors.f16, 2 ** -10)
    assert.isBelow(errors.q8, 2 ** -5)
    assert.isBelow(errors.q8int8, 2 ** -4)
    assert.isBelow(errors.q4in128, 2 ** -1)
    // four bits fewer make steps sixteen times as great
    assert.isAbove(errors.q4 / errors.q8, 8)
    assert.isBelow(errors.q4 / errors.q8, 32)
  })

  it("say what they change", () => {
    assert.deepStrictEqual(qwen3.span(0, 3).notes, [])
    assert.match(
      qwen3.span(0, 3, { weights: "q4" }).notes.join(),
      /f32 quantized to q4 in groups of 32.*\(21 matrices\)/
    )
    assert.match(qwen3.head({ weights: "q4" }).notes.join(), /q8/)
    assert.match(qwen3.span(0, 1, { weights: "f16" }).notes.join(), /f32 rounded to f16/)
  })

  it("read only the tensors of the span", () => {
    const names = qwen3.span(1, 2).initializers.map(({ name }) => name)
    assert.isTrue(names.every((name) => name.startsWith("block_1.") || name.startsWith("rotary_0.")))
  })

  it("give fresh arrays at each read, in any order", () => {
    const model = open(path.join(fixtures, "gguf/q4_1"))
    const { initializers } = model.span(0, 1)
    const first = initializers.map((initializer) => initializer.read())
    const again = [...initializers].reverse().map((initializer) => initializer.read())
    assert.deepStrictEqual(again.reverse(), first)
    assert.isTrue(first.every((array, i) => array !== again[i]))
  })
})

describe("matrices that no group divides", () => {
  /** Random weights: 5 heads of 32 over a hidden size of 80, a vocabulary of 331. */
  const odd = (): Model => {
    const folder = temporaryFolder()
    const config = {
      ...{ model_type: "llama", hidden_size: 80, intermediate_size: 144, num_hidden_layers: 2, vocab_size: 331 },
      ...{ num_attention_heads: 5, num_key_value_heads: 1, head_dim: 32, max_position_embeddings: 64 },
      ...{ rope_parameters: { rope_type: "dynamic", rope_theta: 10000, factor: 2 }, tie_word_embeddings: true }
    }
    fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify(config))
    const block = (index: number): Array<readonly [string, ReadonlyArray<number>]> => [
      [`layers.${index}.input_layernorm`, [80]],
      [`layers.${index}.self_attn.q_proj`, [160, 80]],
      [`layers.${index}.self_attn.k_proj`, [32, 80]],
      [`layers.${index}.self_attn.v_proj`, [32, 80]],
      [`layers.${index}.self_attn.o_proj`, [80, 160]],
      [`layers.${index}.post_attention_layernorm`, [80]],
      [`layers.${index}.mlp.gate_proj`, [144, 80]],
      [`layers.${index}.mlp.up_proj`, [144, 80]],
      [`layers.${index}.mlp.down_proj`, [80, 144]]
    ]
    let state = 1
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 31 - 1
    }
    const shapes = [["embed_tokens", [331, 80]] as const, ...block(0), ...block(1), ["norm", [80]] as const]
    const entries = shapes.map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((product, extent) => product * extent, 1))
      const scale = Math.sqrt(3 / (shape[1] ?? 1))
      data.forEach((_, i) => {
        data[i] = shape.length === 1 ? 1 + 0.1 * random() : scale * random()
      })
      return { name: `model.${name}.weight`, type: "f32" as const, shape, data }
    })
    writeSafetensors(path.join(folder, "model.safetensors"), entries)
    return open(folder)
  }

  it("are padded", async () => {
    const model = odd()
    const x = model.embedding().lookup([3, 330, 17, 90, 5, 201, 44])
    const run = async (options: PlanOptions) => {
      const chain = await makeChain(model, [0, 2], options)
      const [y = x] = await chain.step(chain.open(8), 0, x)
      return chain.head.logits(y)
    }
    const exact = await run({ activations: "f32" })
    assert.isTrue(exact.every(Number.isFinite))
    assert.isBelow(distance(await run({ weights: "q8", activations: "f32" }), exact), 2 ** -5)
    for (const group of [32, 64, 128]) {
      assert.isBelow(distance(await run({ weights: "q8", group }), exact), 2 ** -4, `q8, group ${group}`)
      assert.isBelow(distance(await run({ weights: "q4", group }), exact), 2 ** -1, `q4, group ${group}`)
    }
  })
})

describe("bad requests", () => {
  it("throw RangeError", () => {
    const calls = [
      () => qwen3.span(0, 4),
      () => qwen3.span(-1, 1),
      () => qwen3.span(2, 2),
      () => qwen3.span(0, 1.5),
      () => qwen3.span(0, 1, { maxPositions: 257 }),
      () => qwen3.span(0, 1, { maxPositions: 0 }),
      () => qwen3.span(0, 1, { weights: "q4", group: 48 }),
      () => qwen3.embedding().lookup([192]),
      () => qwen3.embedding().lookup([-1]),
      () => qwen3.embedding().lookup([0.5])
    ]
    for (const call of calls) assert.throws(call, RangeError)
  })

  it("for what the graphs do not compute fail with Unsupported", () => {
    const { architecture: a } = qwen3
    const refused: ReadonlyArray<Partial<Architecture>> = [
      { parallelResidual: "own-norms", norm: { ...a.norm, placement: "around" } },
      { encoder: true },
      { encoder: true, attention: { ...a.attention, kvHeads: a.attention.heads, softCap: 30 } },
      { encoder: true, attention: { ...a.attention, kvHeads: a.attention.heads, alibi: [1, 1, 1, 1] } }
    ]
    // refused before any weight is looked at
    const untouched: Weights = Object.create(null)
    for (const change of refused) {
      for (const plan of [
        () => planSpan({ ...a, ...change }, untouched, 0, 1),
        () => planHead({ ...a, ...change }, untouched)
      ]) {
        assert.throws(plan, /is not supported/)
      }
    }
  })
})

describe("sizes", () => {
  it.each(["qwen3", "mixtral", "qwen2-moe", "gemma2", "gpt2", "bloom", "bert"])(
    "of %s are those of the plans",
    (name) => {
      const model = open(path.join(fixtures, "families", name))
      for (const weights of ["f32", "f16", "q8", "q4"] as const) {
        for (const group of [32, 128]) {
          const own = model
            .span(0, 1, { weights, group })
            .initializers.filter((initializer) => !initializer.name.startsWith("rotary"))
          assert.strictEqual(blockBytes(model.architecture, weights, group), bytesOf(own))
        }
      }
    }
  )

  it("add up", () => {
    const { architecture } = qwen3
    assert.strictEqual(kvBytesPerToken(architecture), 2 * 2 * 24 * 4)
    const { block, outside, total } = parameters(architecture)
    assert.strictEqual(4 * block, blockBytes(architecture, "f32"))
    assert.strictEqual(outside, 2 * 192 * 64 + 64)
    assert.strictEqual(total, 3 * block + outside)
  })
})

describe("rotary frequencies", () => {
  it("of GGUF factors and of llama3 settings agree", () => {
    const llama3 = {
      kind: "llama3",
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalContext: 8192
    } as const
    const plain = { base: 500000, dims: 128, interleaved: false }
    const frequencies = rotaryFrequencies({ ...plain, scaling: llama3 })
    const unscaled = rotaryFrequencies(plain)
    const factors = Array.from(frequencies, (frequency, i) => (unscaled[i] ?? 0) / frequency)
    // the first pairs turn often and stay, the last are stretched by the whole factor
    assert.strictEqual(factors[0], 1)
    assert.closeTo(factors[63] ?? 0, 8, 1e-12)
    const again = rotaryFrequencies({ ...plain, scaling: { kind: "factors", factors } })
    again.forEach((frequency, i) => {
      assert.closeTo(frequency, frequencies[i] ?? 0, 1e-15)
    })
  })
})
