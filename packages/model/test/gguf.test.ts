/**
 * The GGUF reader: what it reads, and that nothing in a header can make it do anything but fail by name.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { FormatError, openSafetensors } from "@swarm/tensor"
import { openGguf } from "../src/index.ts"
import { fixtures, temporaryFolder } from "./support/fixtures.ts"
import { type FileSpec, ggufFile, value } from "./support/ggufFile.ts"

const folder = temporaryFolder()
let files = 0
const write = (bytes: Uint8Array): string => {
  const file = path.join(folder, `${files++}.gguf`)
  fs.writeFileSync(file, bytes)
  return file
}

const failure = (run: () => unknown): FormatError => {
  try {
    run()
  } catch (error) {
    if (error instanceof FormatError) return error
    throw error
  }
  throw new Error("it did not fail")
}

const HUGE = 2n ** 60n

describe("a well-formed file", () => {
  it("gives metadata of every kind and tensors in row-major shape", () => {
    const file = write(
      ggufFile({
        version: 2,
        metadata: [
          ["a", value.u32(7)],
          ["b", value.u64(2n ** 63n)],
          ["c", value.f32(0.5)],
          ["d", value.bool(true)],
          ["e", value.string("é")],
          ["f", value.strings(["x", "", "yz"])],
          ["g", value.i32s([1, -2])],
          ["h", value.string("long ".repeat(200))]
        ],
        tensors: [{ name: "t", dims: [32, 2], type: 8, offset: 32 }],
        data: 32 + 68
      })
    )
    const gguf = openGguf(file)
    assert.strictEqual(gguf.version, 2)
    assert.deepStrictEqual(gguf.metadata.keys(), ["a", "b", "c", "d", "e", "f", "g", "h"])
    const got = gguf.metadata.keys().map((key) => gguf.metadata.get(key))
    const wanted = [7, 2n ** 63n, 0.5, true, "é", ["x", "", "yz"], Int32Array.of(1, -2), "long ".repeat(200)]
    assert.deepStrictEqual(got, wanted)
    assert.strictEqual(gguf.metadata.get("z"), undefined)
    const tensor = gguf.tensors.get("t")
    assert.deepStrictEqual(tensor?.shape, [2, 32])
    assert.strictEqual(tensor?.type, "Q8_0")
    assert.strictEqual(gguf.read("t").length, 68)
    assert.throws(() => gguf.read("t", 60, 9), RangeError)
    assert.strictEqual(failure(() => gguf.read("u")).tensor, "u")
  })

  it("holds the same bytes as the reference", () => {
    const gguf = openGguf(path.join(fixtures, "gguf/f32/model.gguf"))
    const bytes = gguf.read("token_embd.weight")
    const embedding = new Float32Array(bytes.buffer)
    const expected = openSafetensors(path.join(fixtures, "gguf/f32/expected.safetensors"))
    const [first] = Array.from(expected.readArray("input_ids"), Number)
    const hidden = expected.readFloat32("hidden").subarray(0, 256)
    assert.deepStrictEqual(embedding.subarray((first ?? 0) * 256, ((first ?? 0) + 1) * 256), hidden)
  })
})

describe("a tensor of more than 2 GiB", () => {
  it("is read in part at any offset, and no single read of the system has to take it whole", () => {
    const bytes = 2 ** 31 + 4096
    const header = ggufFile({ tensors: [{ name: "t", dims: [1024, bytes / 4096] }] })
    const file = write(header)
    const marks = [0, 2 ** 30 - 1, 2 ** 31 - 1, 2 ** 31, bytes - 1]
    // sparse: it takes a few pages of the disk
    const descriptor = fs.openSync(file, "r+")
    fs.ftruncateSync(descriptor, header.length + bytes)
    for (const [index, at] of marks.entries()) {
      fs.writeSync(descriptor, Uint8Array.of(index + 1), 0, 1, header.length + at)
    }
    fs.closeSync(descriptor)
    const gguf = openGguf(file)
    assert.deepStrictEqual(
      marks.map((at) => gguf.read("t", at, 1)[0]),
      [1, 2, 3, 4, 5]
    )
    assert.deepStrictEqual([...gguf.read("t", 2 ** 31 - 1, 3)], [3, 4, 0])
    // the whole is asked for, and its end missed only after some of it came: that much is quick
    fs.truncateSync(file, header.length + 4096)
    const { message, tensor } = failure(() => gguf.read("t"))
    assert.match(message, new RegExp(`ends at byte ${header.length + 4096}, ${bytes - 4096} bytes too early`))
    assert.strictEqual(tensor, "t")
    fs.rmSync(file)
  })
})

describe("a file that lies", () => {
  const tensor = { name: "blk.0.w", dims: [32, 4], offset: 0 }
  const cases: ReadonlyArray<readonly [what: string, spec: FileSpec, message: RegExp, tensor?: string]> = [
    ["magic", { magic: "GGML" }, /begin with GGUF/],
    ["version", { version: 4 }, /version is 4/],
    ["big-endian", { version: 0x03000000 }, /big-endian/],
    ["2^60 tensors", { tensorCount: HUGE }, /tensor count/],
    ["2^60 entries", { entryCount: HUGE }, /entry count/],
    ["more tensors than the file can hold", { tensorCount: 5, data: 64 }, /tensor count/],
    ["a string of 2^60 bytes", { metadata: [["k", value.string("x", HUGE)]], data: 64 }, /length of "k"/],
    ["a string beyond the end", { metadata: [["k", value.string("x", 500)]] }, /length of "k"/],
    ["an array of 2^60 items", { metadata: [["k", value.i32s([1], HUGE)]], data: 64 }, /length of an array/],
    ["2^60 strings", { metadata: [["k", value.strings(["x"], HUGE)]], data: 64 }, /length of an array/],
    ["an array of arrays", { metadata: [["k", value.nested()]] }, /array of arrays/],
    ["an unknown value type", { metadata: [["k", value.unknown()]] }, /value type 13/],
    [
      "a key twice",
      {
        metadata: [
          ["k", value.u32(1)],
          ["k", value.u32(2)]
        ]
      },
      /"k" occurs twice/
    ],
    ["an alignment of 3", { metadata: [["general.alignment", value.u32(3)]] }, /alignment is 3/],
    ["an alignment of 0", { metadata: [["general.alignment", value.u32(0)]] }, /alignment is 0/],
    ["an alignment in words", { metadata: [["general.alignment", value.string("32")]] }, /alignment is 32/],
    ["a part of a split model", { metadata: [["split.count", value.u32(3)]] }, /one of 3 parts/],
    ["five dimensions", { tensors: [{ ...tensor, dims: [1, 1, 1, 1, 32] }], data: 999 }, /5 dimensions/, "blk.0.w"],
    ["2^32 dimensions", { tensors: [{ ...tensor, rank: 2 ** 32 - 1 }], data: 999 }, /dimensions/, "blk.0.w"],
    ["2^60 rows", { tensors: [{ ...tensor, dims: [32, HUGE] }], data: 999 }, /dimension of "blk.0.w"/],
    ["2^52 x 2^52 values", { tensors: [{ ...tensor, dims: [2 ** 52, 2 ** 52] }], data: 999 }, /shape/, "blk.0.w"],
    ["no rows", { tensors: [{ ...tensor, dims: [32, 0] }], data: 999 }, /shape/, "blk.0.w"],
    ["half a block", { tensors: [{ ...tensor, dims: [33, 4], type: 8 }], data: 999 }, /blocks of 32/, "blk.0.w"],
    ["an unknown type", { tensors: [{ ...tensor, type: 77 }], data: 999 }, /type 77/, "blk.0.w"],
    ["a type that is not read", { tensors: [{ ...tensor, type: 19 }], data: 999 }, /IQ1_S/, "blk.0.w"],
    ["an odd offset", { tensors: [{ ...tensor, offset: 4 }], data: 999 }, /multiple of 32/, "blk.0.w"],
    ["an offset of 2^60", { tensors: [{ ...tensor, offset: HUGE }], data: 999 }, /offset of "blk.0.w"/],
    ["data beyond the end", { tensors: [{ ...tensor, offset: 512 }], data: 999 }, /the file has/, "blk.0.w"],
    ["no data", { tensors: [tensor] }, /the file has/, "blk.0.w"],
    ["a tensor twice", { tensors: [tensor, { ...tensor, offset: 512 }], data: 9999 }, /occurs twice/, "blk.0.w"],
    [
      "one tensor over another",
      { tensors: [tensor, { name: "blk.1.w", dims: [32], offset: 480 }], data: 9999 },
      /overlaps "blk.0.w"/,
      "blk.1.w"
    ]
  ]

  it.each(cases.map(([what, ...rest]) => ({ what, rest })))("is refused: $what", ({ rest: [spec, message, name] }) => {
    const file = write(ggufFile(spec))
    const error = failure(() => openGguf(file))
    assert.match(error.message, message)
    assert.strictEqual(error.file, file)
    assert.strictEqual(error.tensor, name)
  })

  it("is refused when cut at any byte", () => {
    const whole = ggufFile({
      metadata: [
        ["general.name", value.string("m")],
        ["tokens", value.strings(["a", "b"])],
        ["n", value.i32s([1, 2])]
      ],
      tensors: [tensor],
      data: 512
    })
    openGguf(write(whole))
    const file = write(whole)
    for (let length = whole.length - 1; length >= 0; length--) {
      fs.truncateSync(file, length)
      failure(() => openGguf(file))
    }
  })

  it("never does anything but fail by name or open when bytes are flipped", () => {
    const file = path.join(fixtures, "gguf/q4_k/model.gguf")
    const whole = fs.readFileSync(file).subarray(0, 8192)
    const tail = fs.statSync(file).size
    const target = write(whole)
    fs.truncateSync(target, tail)
    const fd = fs.openSync(target, "r+")
    let refused = 0
    for (let i = 0; i < 8192; i += 5) {
      const flipped = Uint8Array.of((whole[i] ?? 0) ^ (1 << (i % 8)))
      fs.writeSync(fd, flipped, 0, 1, i)
      try {
        openGguf(target)
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        refused++
      }
      fs.writeSync(fd, whole, i, 1, i)
    }
    fs.closeSync(fd)
    assert.isAbove(refused, 100)
  })

  it("is refused when it is no file", () => {
    assert.match(failure(() => openGguf(path.join(folder, "absent.gguf"))).message, /no such file/)
    assert.match(failure(() => openGguf(folder)).message, /not a file/)
  })

  it("is refused at the read when it has shrunk since", () => {
    const file = write(ggufFile({ tensors: [tensor], metadata: [["t", value.strings(["abc"])]], data: 512 }))
    const gguf = openGguf(file)
    fs.truncateSync(file, 40)
    assert.strictEqual(failure(() => gguf.read("blk.0.w")).tensor, "blk.0.w")
    failure(() => gguf.metadata.get("t"))
  })
})
