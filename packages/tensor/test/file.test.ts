import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { FormatError, readAt, withFile } from "../src/index.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-tensor-file-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const file = path.join(folder, "file")

const read = (position: number, length: number) =>
  withFile(
    file,
    (descriptor) => {
      const out = new Uint8Array(length)
      readAt(descriptor, out, position)
      return [...out]
    },
    "a tensor"
  )

const failure = (use: () => unknown): unknown => {
  try {
    use()
  } catch (error) {
    return error
  }
  throw new Error("no error")
}

describe("readAt", () => {
  it("reads at positions beyond 4 GiB, and where nothing was written", () => {
    const at = 2 ** 32 + 5
    const descriptor = fs.openSync(file, "w")
    fs.writeSync(descriptor, Uint8Array.of(7, 8, 9), 0, 3, at)
    fs.closeSync(descriptor)
    expect(read(at - 2, 5)).toEqual([0, 0, 7, 8, 9])
    expect(read(at + 3, 0)).toEqual([])
  })

  it("names file and tensor where the file ends too early", () => {
    fs.writeFileSync(file, Uint8Array.of(1, 2, 3))
    expect(failure(() => read(1, 4))).toMatchObject({
      _tag: "FormatError",
      file,
      tensor: "a tensor",
      detail: "the file ends at byte 3, 2 bytes too early"
    })
  })
})

describe("withFile", () => {
  it("gives the size, and refuses what is no file", () => {
    expect(withFile(file, (_, size) => size)).toBe(3)
    for (const other of [folder, path.join(folder, "absent")]) {
      expect(failure(() => withFile(other, () => 0))).toBeInstanceOf(FormatError)
    }
  })
})
