import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type ElementType, elementBytes, elementTypes, makeArray, viewBytes } from "@swarm/tensor"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { afterAll, describe, expect, it } from "vitest"
import { graph, ModelFormatError, readExternalData } from "../src/index.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-onnx-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const run = async (model: Uint8Array, feeds: Record<string, Tensor>) => {
  const session = await InferenceSession.create(model)
  const results = await session.run(feeds)
  await session.release()
  return results
}
const f32 = (values: ReadonlyArray<number>, shape: ReadonlyArray<number>) =>
  new Tensor("float32", Float32Array.from(values), shape)

describe("graph", () => {
  it("builds what ONNX Runtime runs: operators of both domains, all kinds of attributes, absent inputs", async () => {
    const g = graph()
    const x = g.input("x", "f32", [1, "rows", 4])
    const scale = g.constant("scale", "f32", [4], Float32Array.of(1, 2, 3, 4))
    const normal = g.node("SimplifiedLayerNormalization", [x, scale], {
      attributes: { axis: { i: -1 }, epsilon: { f: 0 } }
    })
    const [left, right] = g.nodes("Split", [normal], ["left", "right"], {
      attributes: { axis: { i: 2 }, num_outputs: { i: 2 } }
    })
    const swapped = g.node("Concat", [right ?? "", left ?? ""], { attributes: { axis: { i: 2 } } })
    const turned = g.node("Transpose", [swapped], { attributes: { perm: { ints: [0, 2, 1] } }, name: "turned" })
    const low = g.constant("low", "f32", [], Float32Array.of(2))
    g.output(g.node("Clip", [turned, "", low], { name: "y" }), "f32", [1, 4, "rows"])
    g.output(g.node("FastGelu", [x], { domain: "com.microsoft", name: "gelu" }), "f32", [1, "rows", 4])
    g.output(g.node("Gelu", [x], { attributes: { approximate: { s: "tanh" } }, name: "tanh" }), "f32", [1, "rows", 4])

    const { gelu, tanh, y } = await run(g.bytes(), { x: f32([1, -1, 1, -1, 2, 2, 2, 2], [1, 2, 4]) })
    expect(y?.dims).toEqual([1, 4, 2])
    expect(Array.from(y?.data as Float32Array)).toEqual([2, 2, -4, 2, 1, 1, -2, 2].map((value) => Math.min(value, 2)))
    const [a, b] = [gelu?.data as Float32Array, tanh?.data as Float32Array]
    expect(Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? NaN))))).toBeLessThan(1e-5)
    expect(a[0]).toBeCloseTo(0.8412, 3)
  })

  it.each(elementTypes)("writes %s constants that ONNX Runtime reads to the bit", async (type: ElementType) => {
    const data = makeArray(type, 4)
    const bytes = viewBytes(data)
    for (let i = 0; i < bytes.length; i++) bytes[i] = type === "bool" ? i % 2 : 3 + 7 * i
    const g = graph()
    const value = g.constant("value", type, [2, 2], data)
    // the runtime gives fp8 and bf16 to JavaScript only as numbers of another type
    const narrow = type === "bf16" || type === "f8e4m3" || type === "f8e5m2"
    const y = g.node(narrow ? "Cast" : "Identity", [value], narrow ? { attributes: { to: { i: 1 } } } : {})
    g.output(y, narrow ? "f32" : type, [2, 2])
    const result = (await run(g.bytes(), {}))[y]?.data
    if (!ArrayBuffer.isView(result)) throw new Error("no tensor")
    if (narrow) expect(result.byteLength).toBe(16)
    else expect(viewBytes(result)).toEqual(bytes)
  })

  it("refers to external data", async () => {
    const data = Float32Array.from({ length: 8 }, (_, i) => i)
    fs.writeFileSync(path.join(folder, "weights"), viewBytes(data))
    const g = graph()
    const x = g.input("x", "f32", [4])
    const w = g.external("w", "f32", [4], { location: "weights", offset: 16, length: 16 })
    g.output(g.node("Add", [x, w], { name: "y" }), "f32", [4])
    const file = path.join(folder, "model.onnx")
    fs.writeFileSync(file, g.bytes())
    const session = await InferenceSession.create(file)
    const { y } = await session.run({ x: f32([10, 20, 30, 40], [4]) })
    await session.release()
    expect(Array.from(y?.data as Float32Array)).toEqual([14, 25, 36, 47])
  })

  it("refuses a name twice, a value before its definition, and data that does not fit", () => {
    const g = graph()
    g.input("x", "f32", ["rows", 4])
    expect(() => g.input("x", "f32", [1])).toThrow(TypeError)
    expect(() => g.node("Relu", ["y"])).toThrow(/"y" is not defined/)
    expect(() => g.node("Relu", ["x"], { name: "x" })).toThrow(TypeError)
    expect(() => g.output("y", "f32", [1])).toThrow(TypeError)
    g.output("x", "f32", ["rows", 4])
    expect(() => g.output("x", "f32", ["rows", 4])).toThrow(TypeError)
    expect(() => g.input("", "f32", [1])).toThrow(TypeError)
    expect(() => g.input("s", "f32", [-1])).toThrow(RangeError)
    expect(() => g.constant("c", "f32", [3], new Float32Array(2))).toThrow(RangeError)
    expect(() => g.constant("c", "f32", [2 ** 40, 2 ** 40], new Float32Array(2))).toThrow(RangeError)
    expect(() => g.external("e", "i8", [3], { location: "w", offset: 0, length: 4 })).toThrow(RangeError)
    expect(() => g.external("e", "i8", [4], { location: "w", offset: -4, length: 4 })).toThrow(RangeError)
    expect(g.node("Relu", ["x"])).not.toBe(g.node("Relu", ["x"]))
  })
})

describe("readExternalData", () => {
  const g = graph()
  g.constant("inside", "f32", [2], new Float32Array(2))
  const a = { location: "weights", offset: 2 ** 40, length: 8, extra: { prepacked_0: "key|1;2;3" } }
  g.external("a", "f32", [2], a)
  g.external("b", "i8", [3], { location: "other", offset: 0, length: 3 })
  const model = g.bytes()

  it("returns the entries that the builder wrote", () => {
    expect(Object.fromEntries(readExternalData(model))).toEqual({
      a,
      b: { location: "other", offset: 0, length: 3, extra: {} }
    })
    expect(elementBytes("i8") * 3).toBe(3)
  })

  it("answers any truncation with an error or with fewer entries", () => {
    for (let length = 0; length < model.length; length++) {
      try {
        expect(readExternalData(model.subarray(0, length)).size).toBeLessThanOrEqual(2)
      } catch (error) {
        expect(error).toBeInstanceOf(ModelFormatError)
      }
    }
  })

  it("names an offset that is none", () => {
    const text = Buffer.from(model)
      .toString("latin1")
      .replace(String(2 ** 40), "-099511627776")
    try {
      readExternalData(Buffer.from(text, "latin1"))
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ _tag: "ModelFormatError", tensor: "a" })
    }
  })
})
