/**
 * Every example runs to its end and prints what its last comment promises.
 * @module
 */
import { readdirSync } from "node:fs"
import path from "node:path"
import { assert, describe, it } from "vitest"
import { assertRuns, missingLine, promisedLines, root } from "./run-script.ts"

const folder = path.join(root, "examples")

describe("examples", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"))
  it("are there", () => assert.isNotEmpty(files))
  for (const name of files) it(name, () => assertRuns(path.join(folder, name)), 180_000)
})

describe("what a script promises to print", () => {
  it("is the comment at its end", () => {
    assert.deepStrictEqual(promisedLines("run()\n// prints: one\n// two\n"), ["one", "two"])
    assert.deepStrictEqual(promisedLines("run()\n// prints:\n// one\n"), ["one"])
  })
  it("is nothing without such a comment, or with code after it", () => {
    assert.deepStrictEqual(promisedLines("run() // prints: one\n"), [])
    assert.deepStrictEqual(promisedLines("// prints: one\nrun()\n"), [])
  })
  it("must appear in order", () => {
    assert.isUndefined(missingLine(["a", "b"], "x\nits a\ny\nb c\n"))
    assert.strictEqual(missingLine(["b", "a"], "a\nb\n"), "a")
    assert.strictEqual(missingLine(["a", "a"], "a\n"), "a")
  })
})
