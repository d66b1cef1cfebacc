import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as FastCheck from "effect/FastCheck"
import { afterAll, describe, expect, it } from "vitest"
import {
  elementTypes,
  FormatError,
  makeArray,
  openSafetensors,
  openShards,
  type TensorToWrite,
  viewBytes,
  writeSafetensors
} from "../src/index.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-tensor-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const file = path.join(folder, "test.safetensors")

/** Writes a file with the given header text and data, the length as it should be unless `length` says otherwise. */
const raw = (header: string, dataBytes: number, length = BigInt(Buffer.byteLength(header))): string => {
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(length)
  fs.writeFileSync(file, Buffer.concat([prefix, Buffer.from(header), Buffer.alloc(dataBytes)]))
  return file
}

const failure = (use: () => unknown): FormatError => {
  try {
    use()
  } catch (error) {
    if (error instanceof FormatError) return error
    throw error
  }
  throw new Error("no error")
}

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype = "F32") =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] })

describe("openSafetensors", () => {
  it("reads a file of transformers", () => {
    const source = openSafetensors(
      new URL("../../../test/fixtures/families/llama-yarn/expected.safetensors", import.meta.url).pathname
    )
    const hidden = source.tensors.get("hidden")
    const ids = source.readArray("greedy_ids")
    expect(hidden?.type).toBe("f32")
    expect(ids).toBeInstanceOf(BigInt64Array)
    expect(ids).toHaveLength(48)
    const shape = hidden?.shape ?? []
    const layer = (shape[1] ?? 0) * (shape[2] ?? 0) * 4
    expect(source.readRows("hidden", 1, 3)).toEqual(source.read("hidden").subarray(layer, 3 * layer))
    expect(source.readBytes("hidden", 8, 4)).toEqual(source.read("hidden").subarray(8, 12))
  })

  it("refuses ranges outside a tensor", () => {
    writeSafetensors(file, [{ name: "w", type: "u8", shape: [4, 2], data: new Uint8Array(8) }])
    const source = openSafetensors(file)
    for (const [from, to] of [
      [-1, 1],
      [0, 5],
      [3, 2],
      [0.5, 1],
      [Number.NaN, 1]
    ] as const) {
      expect(() => source.readRows("w", from, to)).toThrow(RangeError)
    }
    expect(() => source.readBytes("w", 0, 9)).toThrow(RangeError)
    expect(() => source.readBytes("w", 2 ** 60, 1)).toThrow(RangeError)
    expect(failure(() => source.read("x")).tensor).toBe("x")
  })

  it("notices a file that has shrunk", () => {
    writeSafetensors(file, [{ name: "w", type: "u8", shape: [100], data: new Uint8Array(100) }])
    const source = openSafetensors(file)
    fs.truncateSync(file, fs.statSync(file).size - 1)
    expect(failure(() => source.read("w"))).toMatchObject({ file, tensor: "w" })
  })

  const bad: ReadonlyArray<readonly [what: string, header: string, bytes: number, says: RegExp, tensor?: string]> = [
    ["no JSON", "nonsense", 0, /JSON/],
    ["broken JSON", `{"a":`, 0, /JSON/],
    ["a list", "[]", 0, /JSON object/],
    ["an entry that is no object", `{"a":3}`, 0, /not an object/, "a"],
    ["an unknown type", `{"a":${entry(0, 4, [1], "F99")}}`, 4, /"F99"/, "a"],
    ["a shape of 2^60", `{"a":${entry(0, 4, [2 ** 60])}}`, 4, /extents|elements/, "a"],
    ["a shape whose product overflows", `{"a":${entry(0, 4, [2 ** 40, 2 ** 40])}}`, 4, /too many elements/, "a"],
    ["a hidden overflow", `{"a":${entry(0, 0, [2 ** 40, 2 ** 40, 0])}}`, 0, /too many elements/, "a"],
    ["a negative extent", `{"a":${entry(0, 4, [-1, -1])}}`, 4, /extents/, "a"],
    ["33 dimensions", `{"a":${entry(0, 4, Array(33).fill(1))}}`, 4, /at most 16/, "a"],
    ["offsets that are reversed", `{"a":${entry(8, 4, [1])}}`, 8, /not a range/, "a"],
    ["offsets that do not fit the shape", `{"a":${entry(0, 8, [1])}}`, 8, /takes 4 bytes/, "a"],
    ["offsets beyond the file", `{"a":${entry(0, 8)}}`, 4, /ends at byte/, "a"],
    ["offsets near 2^53", `{"a":${entry(2 ** 53 - 5, 2 ** 53 - 1, [1])}}`, 4, /hole/, "a"],
    ["an overlap", `{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12, /overlaps/, "b"],
    ["a hole", `{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12, /hole of 4/, "b"],
    ["bytes after the last tensor", `{"a":${entry(0, 4)}}`, 5, /end at byte/],
    ["a name twice", `{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4, /"a" occurs twice/],
    ["a field twice", `{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, 4, /"shape" occurs twice/],
    ["an escaped name twice", `{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4, /"a" occurs twice/],
    ["metadata that is no text", `{"__metadata__":{"x":1}}`, 0, /"x" is not a string/]
  ]

  const cases = bad.map(([what, header, bytes, says, tensor]) => ({ what, header, bytes, says, tensor }))
  it.each(cases)("names the fault of $what", ({ header, bytes, says, tensor }) => {
    const error = failure(() => openSafetensors(raw(header, bytes)))
    expect(error.message).toMatch(says)
    expect(error).toMatchObject({ _tag: "FormatError", file, tensor })
  })

  it("checks the header's length before it allocates", () => {
    expect(failure(() => openSafetensors(raw("{}", 0, 2n ** 64n - 1n))).message).toMatch(/more than 100000000/)
    expect(failure(() => openSafetensors(raw("{}", 0, 1000n))).message).toMatch(/in a file of 10/)
    fs.writeFileSync(file, "1234")
    expect(failure(() => openSafetensors(file)).message).toMatch(/too few/)
    expect(failure(() => openSafetensors(path.join(folder, "absent"))).message).toMatch(/ENOENT/)
    expect(failure(() => openSafetensors(folder)).message).toMatch(/not a file|EISDIR/)
  })

  it("answers any truncation and any flipped byte of the header with a FormatError or the same tensors", () => {
    writeSafetensors(file, [
      { name: "a", type: "f32", shape: [2, 3], data: new Float32Array(6) },
      { name: "b", type: "u8", shape: [5], data: new Uint8Array(5) }
    ])
    const whole = fs.readFileSync(file)
    for (let length = 0; length < whole.length; length++) {
      fs.writeFileSync(file, whole.subarray(0, length))
      expect(failure(() => openSafetensors(file)).file).toBe(file)
    }
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(whole.length - 30), FastCheck.integer({ min: 1, max: 255 }), (at, change) => {
        const copy = Buffer.from(whole)
        copy[at] = (copy[at] ?? 0) ^ change
        fs.writeFileSync(file, copy)
        try {
          const source = openSafetensors(file)
          for (const { bytes, name } of source.tensors.values()) expect(source.read(name)).toHaveLength(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      })
    )
  })
})

describe("writeSafetensors", () => {
  it("writes what openSafetensors reads, every type, aligned", () => {
    const entries: Array<TensorToWrite> = elementTypes.map((type, i) => {
      const data = makeArray(type, 3 * i)
      viewBytes(data).fill(i)
      return { name: `${i}/${type} "é"`, type, shape: [i, 3], data }
    })
    writeSafetensors(file, [...entries, { name: "__proto__", type: "i8", shape: [], data: Int8Array.of(-1) }], {
      by: "ü"
    })
    const source = openSafetensors(file)
    expect(Object.fromEntries(source.metadata)).toEqual({ by: "ü" })
    expect(source.readArray("__proto__")).toEqual(Int8Array.of(-1))
    for (const { data, name, shape, type } of entries) {
      expect(source.tensors.get(name)).toMatchObject({ type, shape })
      expect(source.read(name)).toEqual(viewBytes(data))
      expect((source.tensors.get(name)?.offset ?? NaN) % makeArray(type, 0).BYTES_PER_ELEMENT).toBe(0)
    }
  })

  it("refuses misuse and leaves nothing behind", () => {
    const data = new Float32Array(2)
    const before = fs.readdirSync(folder)
    const bad =
      (...entries: Array<TensorToWrite>) =>
      () =>
        writeSafetensors(path.join(folder, "bad"), entries)
    const a: TensorToWrite = { name: "a", type: "f32", shape: [2], data }
    expect(bad(a, a)).toThrow(RangeError)
    expect(bad({ ...a, name: "__metadata__" })).toThrow(RangeError)
    expect(bad({ ...a, shape: [3] })).toThrow(RangeError)
    expect(() => writeSafetensors(path.join(folder, "no", "such"), [a])).toThrow(/ENOENT/)
    expect(fs.readdirSync(folder)).toEqual(before)
  })
})

describe("openShards", () => {
  it("joins the shards of an index, and opens a folder without one", () => {
    const root = new URL("../../../test/fixtures/families/", import.meta.url).pathname
    const sharded = openShards(path.join(root, "llama-gqa"))
    expect(new Set([...sharded.tensors.values()].map((entry) => entry.file)).size).toBe(3)
    for (const { bytes, name } of sharded.tensors.values()) expect(sharded.read(name)).toHaveLength(bytes)
    const single = openShards(path.join(root, "llama-yarn"))
    expect(single.tensors.has("model.embed_tokens.weight")).toBe(true)
  })

  const index = (map: unknown): string => {
    const at = fs.mkdtempSync(path.join(folder, "shards-"))
    writeSafetensors(path.join(at, "one.safetensors"), [{ name: "a", type: "u8", shape: [1], data: Uint8Array.of(7) }])
    fs.writeFileSync(path.join(at, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }))
    return at
  }

  it("names a missing shard, a missing tensor, and a shard outside the folder", () => {
    expect(openShards(index({ a: "one.safetensors" })).read("a")).toEqual(Uint8Array.of(7))
    expect(failure(() => openShards(index({ a: "two.safetensors" }))).file).toMatch(/two\.safetensors$/)
    expect(failure(() => openShards(index({ b: "one.safetensors" })))).toMatchObject({ tensor: "b" })
    for (const outside of ["../one.safetensors", "/etc/passwd", "..", "", 3]) {
      expect(failure(() => openShards(index({ a: outside }))).message).toMatch(/not a file name/)
    }
    expect(failure(() => openShards(index({}))).message).toMatch(/empty/)
    expect(failure(() => openShards(index(null))).message).toMatch(/weight_map/)
    expect(failure(() => openShards(path.join(folder, "none"))).message).toMatch(/ENOENT/)
  })

  it("takes the only file of a folder, whatever its name", () => {
    const at = fs.mkdtempSync(path.join(folder, "only-"))
    expect(failure(() => openShards(at)).file).toMatch(/model\.safetensors$/)
    const entry = { name: "a", type: "u8", shape: [1] } as const
    writeSafetensors(path.join(at, "gptq_model.safetensors"), [{ ...entry, data: Uint8Array.of(7) }])
    expect(openShards(at).read("a")).toEqual(Uint8Array.of(7))
    writeSafetensors(path.join(at, "other.safetensors"), [{ ...entry, data: Uint8Array.of(8) }])
    expect(failure(() => openShards(at)).file).toMatch(/model\.safetensors$/)
    writeSafetensors(path.join(at, "model.safetensors"), [{ ...entry, data: Uint8Array.of(9) }])
    expect(openShards(at).read("a")).toEqual(Uint8Array.of(9))
  })
})
