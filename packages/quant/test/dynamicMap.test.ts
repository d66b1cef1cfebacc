import { describe, expect, it } from "vitest"
import { codec, dequantizeDynamic, dynamicCodec, dynamicMap, quantizeDynamic, WeightError } from "../src/index.ts"
import { bits, fixture, normal, random } from "./fixture.ts"

const golden = fixture("quant/bitsandbytes.safetensors")
const x = golden.f32("x")

it("has the values of bitsandbytes' map", () => {
  expect(bits(dynamicMap)).toEqual(bits(golden.f32("dynamic.code")))
  expect(dynamicMap[127]).toBe(0)
})

describe.each([64, 256, 1024, 4096])("blocks of %i", (block) => {
  const codes = golden.bytes(`dynamic.${block}.codes`)
  const scales = golden.f32(`dynamic.${block}.absmax`)
  const values = golden.f32(`dynamic.${block}.dequantized`)

  it("are those of bitsandbytes, to the bit", () => {
    const blocks = quantizeDynamic(x, block)
    expect(blocks.codes).toEqual(codes)
    expect(bits(blocks.scales)).toEqual(bits(scales))
    expect(bits(dequantizeDynamic({ block, codes, scales }))).toEqual(bits(values))
  })

  it("are on the wire the nearest ones, with the sign of the greatest value in the scale", () => {
    const wire = dynamicCodec(block)
    const data = new Uint8Array(wire.bytes(x.length))
    expect(wire.encode(x, data)).toBe(true)
    const signed = new Float32Array(data.slice(x.length).buffer)
    expect(signed.map(Math.abs)).toEqual(scales)
    const out = new Float32Array(x.length)
    wire.decode(data, out)
    x.forEach((v, i) => {
      const scale = signed[Math.floor(i / block)] ?? 0
      const best = dynamicMap.reduce(
        (least, code) => Math.min(least, Math.abs(code * scale - v)),
        Number.POSITIVE_INFINITY
      )
      expect(Math.abs((out[i] ?? 0) - v)).toBeLessThanOrEqual(best + 1e-6 * Math.abs(v))
    })
    const again = new Uint8Array(data.length)
    wire.encode(out, again)
    expect(again).toEqual(data)
  })

  it("keep their bounds, and a last block that is not full", () => {
    const next = random(block)
    const wide = Float32Array.from({ length: 5 * block + 17 }, () => (next() - 0.5) * 10 ** (-6 * next()))
    const blocks = quantizeDynamic(wide, block)
    const out = dequantizeDynamic(blocks)
    expect(blocks.scales.length).toBe(6)
    for (let i = 0; i < wide.length; i++) {
      const [v, m] = [wide[i] ?? 0, blocks.scales[Math.floor(i / block)] ?? 0]
      const share = Math.abs(v) < 0.01 * m ? 0.0003 : Math.abs(v) < 0.1 * m ? 0.0015 : 0.0071
      expect(Math.abs(v - (out[i] ?? 0))).toBeLessThanOrEqual(share * m)
    }
  })
})

it("keeps zeros, signs and the greatest value on the wire, and its bytes when passed on, at every magnitude", () => {
  const { bytes, decode, encode } = codec("dynamic8")
  const next = random(9)
  for (let exponent = -149; exponent < 127; exponent += 3) {
    const values = Float32Array.from({ length: 130 }, (_, i) =>
      i % 9 === 0 ? 0 : (next() - 0.6) * 2 ** (exponent - 20 * next())
    )
    const data = new Uint8Array(bytes(values.length))
    expect(encode(values, data)).toBe(true)
    const out = new Float32Array(values.length)
    decode(data, out)
    for (let i = 0; i < 130; i += 9) expect(Math.abs(out[i] ?? 1)).toBe(0)
    const greatest = values.subarray(0, 64).reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best), 0)
    if (Math.abs(greatest) > 2 ** -100) expect(out).toContain(greatest)
    const again = new Uint8Array(data.length)
    encode(out, again)
    expect(again).toEqual(data)
  }
})

it("beats int8 beside an outlier, and loses without one", () => {
  const snr = (name: "int8" | "dynamic8", values: Float32Array) => {
    const data = new Uint8Array(codec(name).bytes(values.length))
    codec(name).encode(values, data)
    const out = new Float32Array(values.length)
    codec(name).decode(data, out)
    const noise = values.reduce((sum, v, i) => sum + (v - (out[i] ?? 0)) ** 2, 0)
    return 10 * Math.log10(values.reduce((sum, v) => sum + v ** 2, 0) / noise)
  }
  const tame = normal(2, 64 * 200)
  const wild = tame.map((v, i) => (i % 1000 === 0 ? 30 * v : v))
  expect(snr("int8", tame)).toBeGreaterThan(snr("dynamic8", tame) + 3)
  expect(snr("dynamic8", wild)).toBeGreaterThan(snr("int8", wild) + 2)
})

it("refuses other blocks, and values that are not finite", () => {
  for (const block of [0, 32, 65, 8192, Number.NaN]) {
    expect(() => quantizeDynamic(x, block)).toThrow(RangeError)
    expect(() => dynamicCodec(block)).toThrow(RangeError)
  }
  expect(() => quantizeDynamic(Float32Array.of(1, Number.NaN), 64)).toThrow(WeightError)
  expect(() => dequantizeDynamic({ block: 64, codes: new Uint8Array(65), scales: new Float32Array(1) })).toThrow(
    RangeError
  )
})
