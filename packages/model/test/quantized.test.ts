/** Quantized checkpoints: what they become, and that files which lie fail by name. */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { dequantize, expand } from "@swarm/quant"
import { FormatError, openSafetensors, type TensorToWrite, writeSafetensors } from "@swarm/tensor"
import { Fields } from "../src/Fields.ts"
import { type Model, type PlanOptions, readFloats, safetensorsCheckpoint, slice } from "../src/index.ts"
import { decodeCheckpoint } from "../src/quantized/decodeCheckpoint.ts"
import { makeChain } from "./support/chain.ts"
import { expectedOf, fixtures, open, openError, relativeError, temporaryFolder } from "./support/fixtures.ts"
import { type Config, type Entries, replaced, variant, without } from "./support/variant.ts"

const unchanged = () => {}
const DOWN = "model.layers.0.mlp.down_proj"
const quant = (name: string) => path.join("quant", name)
const reference = (name: string) => path.join(fixtures, "quant", name)

/** A change of one field of `quantization_config`. */
const set = (key: string, value: unknown) => (config: Config) => {
  config.quantization_config = { ...(config.quantization_config as Config), [key]: value }
}

/** Words of a tensor with some of them changed. */
const words = (change: (values: Int32Array) => void) => (entry: TensorToWrite) => {
  const data = new Int32Array(
    new Uint8Array(entry.data.buffer, entry.data.byteOffset, entry.data.byteLength).slice().buffer
  )
  change(data)
  return { ...entry, data }
}

/** One row fewer. */
const shorter = (entry: TensorToWrite): TensorToWrite => {
  const [rows = 0, ...rest] = entry.shape
  const { buffer, byteOffset, byteLength } = entry.data
  return {
    ...entry,
    shape: [rows - 1, ...rest],
    data: new Uint8Array(buffer, byteOffset, (byteLength / rows) * (rows - 1))
  }
}

const lies: ReadonlyArray<
  readonly [
    what: string,
    fixture: string,
    config: (config: Config) => void,
    tensors: ((entries: Entries) => Entries) | undefined,
    tag: string,
    message: RegExp
  ]
> = [
  [
    "a group size of 0",
    "gptq-4bit-g32-act-sym",
    set("group_size", 0),
    undefined,
    "ConfigurationError",
    /"quantization_config.group_size".*is 0/
  ],
  [
    "a group size that the tensors have not",
    "gptq-4bit-g32-act-sym",
    set("group_size", 64),
    undefined,
    "FormatError",
    /down_proj.scales.*\[8,128\] instead of \[4,128\]/
  ],
  [
    "a width that is none",
    "gptq-4bit-g32-act-sym",
    set("bits", 5),
    undefined,
    "ConfigurationError",
    /"quantization_config.bits"/
  ],
  [
    "a width that the tensors have not",
    "gptq-4bit-g32-act-sym",
    set("bits", 8),
    undefined,
    "FormatError",
    /down_proj.scales/
  ],
  [
    "a method that nobody knows",
    "gptq-4bit-g32-act-sym",
    set("quant_method", "magic"),
    undefined,
    "ConfigurationError",
    /magic/
  ],
  [
    "a method that the tensors have not",
    "gptq-4bit-g32-act-sym",
    set("quant_method", "fp8"),
    undefined,
    "ConfigurationError",
    /quant_method.*fp8/
  ],
  [
    "a layout for another device",
    "gptq-4bit-g32-act-sym",
    set("checkpoint_format", "marlin"),
    undefined,
    "ConfigurationError",
    /marlin/
  ],
  [
    "no word of quantization",
    "gptq-4bit-g32-act-sym",
    (config) => {
      delete config.quantization_config
    },
    undefined,
    "FormatError",
    /qweight.*quantization_config/
  ],
  [
    "a group index beyond the groups",
    "gptq-4bit-g32-act-sym",
    unchanged,
    replaced(
      `${DOWN}.g_idx`,
      words((index) => {
        index[7] = 8
      })
    ),
    "FormatError",
    /down_proj.g_idx.*input 7 is of group 8, of 8/
  ],
  [
    "a negative group index",
    "gptq-4bit-g32-act-sym",
    unchanged,
    replaced(
      `${DOWN}.g_idx`,
      words((index) => {
        index[0] = -1
      })
    ),
    "FormatError",
    /down_proj.g_idx.*input 0 is of group -1/
  ],
  [
    "groups of unequal size",
    "gptq-4bit-g32-act-sym",
    unchanged,
    replaced(
      `${DOWN}.g_idx`,
      words((index) => {
        index.fill(3, 0, 20)
      })
    ),
    "FormatError",
    /down_proj.g_idx.*inputs instead of 32/
  ],
  [
    "group indices of a wrong length",
    "gptq-4bit-g32-act-sym",
    unchanged,
    replaced(`${DOWN}.g_idx`, shorter),
    "FormatError",
    /down_proj.g_idx.*\[255\] instead of \[256\]/
  ],
  [
    "act-order without group indices",
    "gptq-4bit-g32-act-sym",
    unchanged,
    without(/down_proj.g_idx/),
    "FormatError",
    /down_proj.g_idx.*missing/
  ],
  [
    "scales of a wrong length",
    "gptq-4bit-g64-asym",
    unchanged,
    replaced(`${DOWN}.scales`, shorter),
    "FormatError",
    /down_proj.scales.*\[3,128\] instead of \[4,128\]/
  ],
  [
    "scales that are integers",
    "gptq-4bit-g64-asym",
    unchanged,
    replaced(`${DOWN}.scales`, (entry) => ({ ...entry, type: "i16" })),
    "FormatError",
    /down_proj.scales.*i16/
  ],
  [
    "no scales",
    "gptq-4bit-g64-asym",
    unchanged,
    without(/down_proj.scales/),
    "FormatError",
    /down_proj.scales.*missing/
  ],
  [
    "zero points of a wrong length",
    "gptq-4bit-g64-asym",
    unchanged,
    replaced(`${DOWN}.qzeros`, shorter),
    "FormatError",
    /down_proj.qzeros/
  ],
  [
    "fewer codes than inputs",
    "gptq-4bit-g64-asym",
    unchanged,
    replaced(`${DOWN}.qweight`, shorter),
    "FormatError",
    /down_proj/
  ],
  [
    "a layer twice",
    "gptq-4bit-g64-asym",
    unchanged,
    (entries) => [...entries, { name: `${DOWN}.weight`, type: "f16", shape: [1], data: new Uint16Array(1) }],
    "FormatError",
    /down_proj.weight.*twice/
  ],
  [
    "a layer of another shape than the architecture",
    "gptq-4bit-g64-asym",
    (config) => {
      config.intermediate_size = 192
    },
    undefined,
    "WeightMismatch",
    /(gate|up)_proj.weight/
  ],
  ["AWQ of another width", "awq-g32", set("bits", 8), undefined, "ConfigurationError", /bits/],
  ["AWQ for another kernel", "awq-g32", set("version", "gemv"), undefined, "ConfigurationError", /gemv/],
  [
    "AWQ scales of a wrong length",
    "awq-g32",
    unchanged,
    replaced(`${DOWN}.scales`, shorter),
    "FormatError",
    /down_proj.scales/
  ],
  ["bitsandbytes of no width", "bnb-nf4", set("load_in_4bit", false), undefined, "ConfigurationError", /load_in_4bit/],
  [
    "a quant_state that is not JSON",
    "bnb-nf4",
    unchanged,
    replaced(`${DOWN}.weight.quant_state.bitsandbytes__nf4`, (entry) => ({
      ...entry,
      data: new Uint8Array(entry.data.byteLength)
    })),
    "FormatError",
    /down_proj.*quant_state.*JSON/
  ],
  [
    "magnitudes of a wrong length",
    "bnb-nf4",
    unchanged,
    replaced(`${DOWN}.weight.absmax`, shorter),
    "FormatError",
    /down_proj.weight.absmax.*\[511\] instead of \[512\]/
  ],
  [
    "a table of a wrong length",
    "bnb-nf4",
    unchanged,
    replaced(`${DOWN}.weight.quant_map`, shorter),
    "FormatError",
    /down_proj.weight.quant_map/
  ],
  [
    "no nested magnitudes",
    "bnb-nf4-nested",
    unchanged,
    without(/down_proj.weight.nested_absmax/),
    "FormatError",
    /down_proj.weight.nested_absmax.*missing/
  ],
  [
    "a quant_state without a matrix",
    "bnb-nf4",
    unchanged,
    without(/down_proj.weight$/),
    "FormatError",
    /down_proj.weight.*missing/
  ],
  ["rows without magnitudes", "bnb-int8", unchanged, replaced(`${DOWN}.SCB`, shorter), "FormatError", /down_proj.SCB/],
  [
    "tiles of a GPU",
    "bnb-int8",
    unchanged,
    replaced(`${DOWN}.weight_format`, (entry) => ({ ...entry, data: Uint8Array.of(3) })),
    "FormatError",
    /down_proj.weight_format.*is 3/
  ],
  [
    "scales for other blocks",
    "fp8-blocks",
    set("weight_block_size", [64, 128]),
    undefined,
    "FormatError",
    /weight_scale_inv/
  ],
  [
    "blocks of no size",
    "fp8-blocks",
    set("weight_block_size", [0, 128]),
    undefined,
    "ConfigurationError",
    /weight_block_size/
  ],
  [
    "8-bit floats without scales",
    "fp8-blocks",
    unchanged,
    without(/down_proj.weight_scale_inv/),
    "FormatError",
    /down_proj.weight.*f8e4m3/
  ]
]

describe("a checkpoint with", () => {
  for (const [what, fixture, config, tensors, tag, message] of lies) {
    it(`${what} fails by name`, () => {
      const folder = variant(quant(fixture), config, tensors)
      const error = openError(folder)
      assert.strictEqual(error._tag, tag)
      assert.match(error.message, message)
      assert.include(error.message, folder)
    })
  }

  it("a missing shard names it", () => {
    const folder = variant(quant("gptq-4bit-g64-asym"), unchanged)
    const index = { weight_map: { "model.norm.weight": "model-00002-of-00002.safetensors" } }
    fs.writeFileSync(path.join(folder, "model.safetensors.index.json"), JSON.stringify(index))
    assert.match(openError(folder).message, /model-00002-of-00002\.safetensors/)
  })

  it("a truncated file names the tensor", () => {
    const folder = variant(quant("gptq-4bit-g64-asym"), unchanged, (entries) => entries)
    const file = path.join(folder, "model.safetensors")
    fs.truncateSync(file, fs.statSync(file).size - 64)
    const error = openError(folder)
    assert.strictEqual(error._tag, "FormatError")
    assert.match(error.message, /model\.safetensors.*tensor/)
  })
})

/** Reads every initializer of a plan. */
const readAll = (model: Model) => {
  for (const initializer of model.span(0, model.blocks).initializers) initializer.read()
}

describe("weights that turn out wrong when they are read", () => {
  it("name a zero point that is not the middle of symmetric codes", () => {
    const folder = variant(
      quant("gptq-4bit-g32-act-sym"),
      unchanged,
      replaced(
        `${DOWN}.qzeros`,
        words((zeros) => {
          zeros[3] = 0x77777776
        })
      )
    )
    assert.throws(() => readAll(open(folder)), FormatError, /down_proj.qzeros.*zero point is 7/)
  })
  it("name a scale that is not finite", () => {
    const folder = variant(
      quant("gptq-4bit-g32-act-sym"),
      unchanged,
      replaced(`${DOWN}.scales`, (entry) => ({ ...entry, data: new Uint8Array(entry.data.byteLength).fill(0x7c) }))
    )
    assert.throws(() => readAll(open(folder)), FormatError, /down_proj.weight/)
  })
})

describe("old files beside config.json", () => {
  it.each([
    ["gptq-4bit-g32-act-asym", "quantize_config.json", (config: Config) => config],
    [
      "awq-g32",
      "quant_config.json",
      ({ group_size }: Config) => ({ zero_point: true, q_group_size: group_size, w_bit: 4, version: "GEMM" })
    ]
  ] as const)("say the same of %s", (name, file, convert) => {
    let quantization: Config = {}
    const folder = variant(quant(name), (config) => {
      const { quant_method, ...rest } = config.quantization_config as Config
      quantization = convert(rest)
      delete config.quantization_config
    })
    fs.writeFileSync(path.join(folder, file), JSON.stringify(quantization))
    assert.strictEqual(open(folder).digest, open(reference(name)).digest)
  })
})

describe("a bias that the architecture has not", () => {
  const name = "gptq-4bit-g64-asym"
  const biased = (value: number) =>
    variant(quant(name), unchanged, (entries) => [
      ...entries,
      { name: `${DOWN}.bias`, type: "f32", shape: [128], data: new Float32Array(128).fill(value) }
    ])
  it("is nothing if it is zero", () => {
    assert.strictEqual(open(biased(0)).blocks, open(reference(name)).blocks)
  })
  it("is an error if it is not", () => {
    const error = openError(biased(1))
    assert.strictEqual(error._tag, "WeightMismatch")
    assert.match(error.message, /down_proj.bias/)
  })
})

describe("a file of another name", () => {
  it("is found if it is the only one", () => {
    const name = "gptq-4bit-g64-asym"
    const folder = variant(quant(name), unchanged)
    fs.renameSync(path.join(folder, "model.safetensors"), path.join(folder, "gptq_model-4bit-64g.safetensors"))
    assert.strictEqual(open(folder).digest, open(reference(name)).digest)
    fs.writeFileSync(path.join(folder, "other.safetensors"), "")
    assert.match(openError(folder).message, /model\.safetensors/)
  })
})

describe("the digest", () => {
  it("tells how codes are read", () => {
    const name = "gptq-4bit-g32-act-asym"
    const other = variant(quant(name), set("checkpoint_format", "gptq_v2"))
    assert.notStrictEqual(open(other).digest, open(reference(name)).digest)
  })
})

describe("what matrices become", () => {
  const kernels = (name: string, activations: "int8" | "f32") => {
    const model = open(reference(name))
    return [...new Set(model.span(0, model.blocks, { activations }).matrices.map(({ kernel }) => kernel))]
  }
  /** Of act-order layers the one behind an elementwise function needs no gather. */
  const ordered = (codes: string) => [`${codes}, inputs gathered`, `${codes}, inputs in its order`]
  const four = (blockSize: number) => `4-bit codes in blocks of ${blockSize}`
  it.each([
    ["gptq-4bit-g32-act-sym", ordered(four(32)), ordered(four(32))],
    ["gptq-4bit-g32-act-static", [four(32)], [four(32)]],
    ["gptq-4bit-g64-asym", [`${four(64)}, zero points`], [`${four(64)}, zero points`]],
    ["gptq-4bit-column-act-sym", [four(128)], [four(128)]],
    ["gptq-8bit-g128-sym", ["8-bit codes in blocks of 128"], ["f32"]],
    ["gptq-2bit-g32-asym", ["2-bit codes in blocks of 32, zero points"], [`${four(32)}, zero points`]],
    ["gptq-3bit-g64-act-asym", ordered(`${four(64)}, zero points`), ordered(`${four(64)}, zero points`)],
    ["awq-g32", [`${four(32)}, zero points`], [`${four(32)}, zero points`]],
    ["bnb-nf4", ["8-bit codes in blocks of 64"], ["f32"]],
    ["bnb-int8", ["8-bit codes in blocks of 128"], ["f32"]],
    ["fp8-blocks", ["8-bit codes in blocks of 32"], ["f32"]]
  ] as const)("%s", (name, int8, f32) => {
    assert.deepStrictEqual(kernels(name, "int8"), [...int8])
    assert.deepStrictEqual(kernels(name, "f32"), [...f32])
  })

  it("layers with one input are one where their orders agree", () => {
    const name = "gptq-4bit-g32-act-sym"
    const orders = (folder: string) =>
      open(folder)
        .span(0, 1)
        .initializers.flatMap((initializer) => (initializer.name.endsWith(".order") ? [initializer.name] : []))
    // this fixture has an order for each layer, as no quantizer would give q, k and v
    assert.include(orders(reference(name)), "block_0.attn.q.order")
    const same = variant(quant(name), unchanged, (entries) => {
      const index = entries.find((entry) => entry.name === "model.layers.0.self_attn.q_proj.g_idx")
      return entries.map((entry) =>
        /self_attn\.[kv]_proj\.g_idx/.test(entry.name) ? { ...entry, data: index?.data ?? entry.data } : entry
      )
    })
    assert.include(orders(same), "block_0.attn.qkv.order")
  })
})

/** The last hidden states of a text. */
const lastHidden = async (folder: string, options: PlanOptions) => {
  const model = open(folder)
  const chain = await makeChain(model, [0, model.blocks], options)
  const { ids } = expectedOf(reference("gptq-4bit-g32-act-sym"), model.blocks)
  const results = await chain.step(chain.open(ids.length), 0, model.embedding().lookup(ids))
  return results.at(-1) ?? new Float32Array(0)
}

describe("the order of a layer goes into the one before", () => {
  const name = "gptq-4bit-g32-act-asym"
  /** `mlp.gate_proj` of block 0 as floats, and biases. */
  const mixed = () => {
    const gate = "model.layers.0.mlp.gate_proj"
    const fields = Fields.of(name, { quant_method: "gptq", bits: 4, group_size: 32, desc_act: true, sym: false })
    const decoded = decodeCheckpoint(safetensorsCheckpoint(reference(name)), fields)
    const tensor = decoded.tensors.get(`${gate}.weight`)
    if (tensor === undefined) throw new Error("no gate")
    const biases = [0, 1].flatMap((block) =>
      (["gate", "up", "down"] as const).map((part, i): TensorToWrite => {
        const rows = part === "down" ? 128 : 256
        const data = Float32Array.from({ length: rows }, (_, row) => Math.sin(7 * row + i + 3 * block))
        return { name: `model.layers.${block}.mlp.${part}_proj.bias`, type: "f32", shape: [rows], data }
      })
    )
    return variant(
      quant(name),
      (config) => {
        config.mlp_bias = true
      },
      (entries) => [
        ...without(/layers.0.mlp.gate_proj/)(entries),
        { name: `${gate}.weight`, type: "f32", shape: tensor.shape, data: readFloats(slice(decoded, tensor)) },
        ...biases
      ]
    )
  }
  it("also if that is of floats, and with biases", async () => {
    const folder = mixed()
    const [dense, blocks] = [
      await lastHidden(folder, { activations: "f32", weights: "f32" }),
      await lastHidden(folder, { activations: "f32" })
    ]
    assert.isBelow(relativeError(blocks, dense), 1e-5)
    assert.isAbove(relativeError(await lastHidden(reference(name), { activations: "f32" }), dense), 1e-2)
  })
})

describe("LLM.int8", () => {
  it("loses next to nothing to int8 activations: what rounding loses is a second row", async () => {
    const folder = reference("bnb-int8")
    const exact = await lastHidden(folder, { activations: "f32" })
    assert.isBelow(relativeError(await lastHidden(folder, { activations: "int8" }), exact), 1e-3)
  })
})

describe("matrices that no fixture has", () => {
  const golden = openSafetensors(path.join(fixtures, "gguf/blocks.safetensors"))

  it("MXFP4: the values of GGUF's blocks, of several experts", () => {
    const bytes = golden.read("MXFP4.bytes")
    const [rows = 0, columns = 0] = golden.tensors.get("MXFP4.values")?.shape ?? []
    const blocks = columns / 32
    const codes = new Uint8Array(rows * blocks * 16)
    const exponents = new Uint8Array(rows * blocks)
    for (let b = 0; b < exponents.length; b++) {
      exponents[b] = bytes[b * 17] ?? 0
      for (let i = 0; i < 32; i++) {
        const byte = bytes[b * 17 + 1 + (i % 16)] ?? 0
        const at = b * 16 + (i >> 1)
        codes[at] = (codes[at] ?? 0) | ((i < 16 ? byte & 15 : byte >> 4) << (4 * (i & 1)))
      }
    }
    const file = path.join(temporaryFolder(), "model.safetensors")
    writeSafetensors(file, [
      { name: "experts.up_blocks", type: "u8", shape: [2, rows / 2, blocks, 16], data: codes },
      { name: "experts.up_scales", type: "u8", shape: [2, rows / 2, blocks], data: exponents }
    ])
    const fields = Fields.of(file, { quant_method: "mxfp4" })
    const checkpoint = decodeCheckpoint(safetensorsCheckpoint(file), fields)
    const tensor = checkpoint.tensors.get("experts.up.weight")
    if (tensor === undefined) throw new Error("no matrix")
    assert.deepStrictEqual(tensor.shape, [2, rows / 2, columns])
    const expected = dequantize("MXFP4", bytes, new Float32Array(rows * columns))
    assert.deepStrictEqual(readFloats(slice(checkpoint, tensor)), expected)
    assert.deepStrictEqual(readFloats(slice(checkpoint, tensor, 3, 5)), expected.slice(3 * columns, 5 * columns))
  })

  it("NF4 whose blocks cross rows: 8-bit blocks of its values", () => {
    const vectors = openSafetensors(path.join(fixtures, "quant/bitsandbytes.safetensors"))
    const [rows, columns] = [170, 96]
    const values = rows * columns
    const state = JSON.stringify({ quant_type: "nf4", blocksize: 64, dtype: "float32", shape: [rows, columns] })
    const bytes = new TextEncoder().encode(state)
    const file = path.join(temporaryFolder(), "model.safetensors")
    writeSafetensors(file, [
      {
        name: "a.weight",
        type: "u8",
        shape: [values / 2, 1],
        data: vectors.read("nf4.64.packed").subarray(0, values / 2)
      },
      {
        name: "a.weight.absmax",
        type: "f32",
        shape: [values / 64],
        data: vectors.readFloat32("nf4.64.absmax").subarray(0, values / 64)
      },
      { name: "a.weight.quant_map", type: "f32", shape: [16], data: vectors.readFloat32("nf4.code") },
      { name: "a.weight.quant_state.bitsandbytes__nf4", type: "u8", shape: [bytes.length], data: bytes }
    ])
    const fields = Fields.of(file, { quant_method: "bitsandbytes", load_in_4bit: true })
    const checkpoint = decodeCheckpoint(safetensorsCheckpoint(file), fields)
    const tensor = checkpoint.tensors.get("a.weight")
    if (tensor?.matrix === undefined) throw new Error("no matrix")
    const expected = vectors.readFloat32("nf4.64.dequantized").subarray(0, values)
    assert.deepStrictEqual(readFloats(slice(checkpoint, tensor)), expected.slice())
    assert.deepStrictEqual(readFloats(slice(checkpoint, tensor, 7, 9)), expected.slice(7 * columns, 9 * columns))
    const [layout] = tensor.matrix.layouts
    if (layout === undefined) throw new Error("no layout")
    const blocks = expand(tensor.matrix.blocks(layout, 0, rows))
    for (let at = 0; at < values; at += layout.blockSize) {
      const of = (data: Float32Array) => data.subarray(at, at + layout.blockSize)
      const greatest = Math.max(...of(expected).map(Math.abs))
      const lost = Math.max(...of(blocks).map((value, i) => Math.abs(value - (expected[at + i] ?? 0))))
      // what the note says, and the rounding of the scale
      assert.isAtMost(lost, 0.00395 * greatest)
    }
  })

  it("8-bit floats with a scale for each row, or one for all", () => {
    const tables = openSafetensors(path.join(fixtures, "quant/number-tables.safetensors"))
    const table = tables.readFloat32("e5m2_to_f32")
    const data = Uint8Array.from({ length: 64 }, (_, i) => i)
    const scales = Float32Array.of(0.5, 3)
    const file = path.join(temporaryFolder(), "model.safetensors")
    writeSafetensors(file, [
      { name: "a.weight", type: "f8e5m2", shape: [2, 32], data },
      { name: "a.weight_scale", type: "f32", shape: [2, 1], data: scales },
      { name: "b.weight", type: "f8e5m2", shape: [2, 32], data },
      { name: "b.weight_scale", type: "f32", shape: [], data: scales.slice(1) }
    ])
    const checkpoint = decodeCheckpoint(safetensorsCheckpoint(file), Fields.of(file, { quant_method: "fp8" }))
    const values = (name: string) => {
      const tensor = checkpoint.tensors.get(name)
      return tensor === undefined ? [] : [...readFloats(slice(checkpoint, tensor))]
    }
    const expected = (scale: (row: number) => number) =>
      Array.from({ length: 64 }, (_, i) => Math.fround((table[i] ?? 0) * scale(Math.floor(i / 32))))
    assert.deepStrictEqual(
      values("a.weight"),
      expected((row) => scales[row] ?? 0)
    )
    assert.deepStrictEqual(
      values("b.weight"),
      expected(() => 3)
    )
  })
})
