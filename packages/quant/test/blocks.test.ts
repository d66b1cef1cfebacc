import { describe, expect, it } from "vitest"
import { type BlockType, blockBytes, blockType, blockTypeName, blockTypes, dequantize } from "../src/index.ts"
import { bits, blocksFixture, fixture } from "./fixture.ts"

const golden = blocksFixture()
const quantized = [...blockTypes.values()].filter((info) => info.blockSize > 1).map((info) => info.type)

describe("dequantize", () => {
  it.each(quantized)("%s equals ggml's values to the bit", (type) => {
    const values = golden.f32(`${type}.values`)
    const out = dequantize(type, golden.bytes(`${type}.bytes`), new Float32Array(values.length))
    expect(bits(out)).toEqual(bits(values))
  })

  it.each(quantized)("%s reads single blocks at an odd byte offset", (type) => {
    const { blockSize, blockBytes } = blockType(type)
    const values = golden.f32(`${type}.values`)
    const bytes = golden.bytes(`${type}.bytes`)
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    const block = shifted.subarray(1 + 3 * blockBytes, 1 + 4 * blockBytes)
    const out = dequantize(type, block, new Float32Array(blockSize))
    expect(bits(out)).toEqual(bits(values.slice(3 * blockSize, 4 * blockSize)))
  })

  it("reads every f16 and bf16 value", () => {
    const tables = fixture("quant/number-tables.safetensors")
    const every = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
    for (const [type, name] of [
      ["F16", "f16_to_f32"],
      ["BF16", "bf16_to_f32"]
    ] as const) {
      expect(dequantize(type, every, new Float32Array(65536))).toEqual(tables.f32(name))
    }
  })

  it("copies f32 from an odd byte offset", () => {
    const x = Float32Array.of(1, -0, 3.5e38)
    const bytes = new Uint8Array(13)
    bytes.set(new Uint8Array(x.buffer), 1)
    expect(bits(dequantize("F32", bytes.subarray(1), new Float32Array(3)))).toEqual(bits(x))
  })

  it("refuses lengths that do not fit", () => {
    expect(() => dequantize("Q4_0", new Uint8Array(18), new Float32Array(33))).toThrow(RangeError)
    expect(() => dequantize("Q4_0", new Uint8Array(17), new Float32Array(32))).toThrow(RangeError)
    expect(() => dequantize("Q4_0", new Uint8Array(36), new Float32Array(32))).toThrow(RangeError)
    expect(() => dequantize("constructor" as BlockType, new Uint8Array(0), new Float32Array(0))).toThrow(RangeError)
  })
})

describe("block types", () => {
  it("have the sizes of the fixture", () => {
    for (const type of quantized) {
      expect(golden.bytes(`${type}.bytes`).length).toBe(blockBytes(type, golden.f32(`${type}.values`).length))
    }
  })

  it("are found by identifier and named also if they are not read", () => {
    expect(blockTypes.get(12)).toEqual({ type: "Q4_K", id: 12, blockSize: 256, blockBytes: 144 })
    expect(blockTypes.get(15)).toBeUndefined()
    expect(blockTypeName(15)).toBe("Q8_K")
    expect(blockTypeName(77)).toBe("type 77")
  })
})
