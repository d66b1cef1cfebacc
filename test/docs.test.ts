/**
 * Every `ts` fence of the documentation is a program: well typed, and running to its end. A fence marked `ts ignore`
 * is text.
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { assert, describe, it } from "vitest"
import { assertRuns, assertTypes, root } from "./run-script.ts"

interface Fence {
  /** The page, relative to the root. */
  readonly page: string
  /** Where its text begins, from 1. */
  readonly line: number
  readonly body: string
}

const fencePattern = /^([ \t]*)```ts\b(?<meta>[^\n]*)\n(?<body>[\s\S]*?)^\1```/gm

const fencesOf = (page: string, text: string): ReadonlyArray<Fence> =>
  [...text.matchAll(fencePattern)]
    .filter(({ groups }) => !/\bignore\b/.test(groups?.meta ?? ""))
    .map((match) => ({
      page,
      line: text.slice(0, match.index).split("\n").length + 1,
      body: (match.groups?.body ?? "").replaceAll(new RegExp(`^${match[1]}`, "gm"), "")
    }))

const markdownBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.split(path.sep).includes("node_modules"))
    .map((name) => path.join(folder, name))

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...markdownBelow("docs"),
  ...readdirSync(path.join(root, "packages"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) =>
      readdirSync(path.join(root, "packages", name))
        .filter((file) => file === "README.md")
        .map((file) => path.join("packages", name, file))
    )
]

const generated = path.join(root, "test", "generated")
rmSync(generated, { recursive: true, force: true })
mkdirSync(generated, { recursive: true })

const programs = pages.flatMap((page) =>
  fencesOf(page, readFileSync(path.join(root, page), "utf8")).map((fence) => {
    const name = `${page.replace(/\.md$/, "").replaceAll(/[^A-Za-z0-9]+/g, "-")}-${fence.line}.ts`
    const file = path.join(generated, name)
    writeFileSync(file, fence.body)
    return { ...fence, file }
  })
)

describe("fences of the documentation", () => {
  it.skipIf(programs.length === 0)("are well typed", () => assertTypes("tsconfig.docs.json"), 180_000)
  for (const { page, line, file } of programs) it(`${page}:${line} runs`, () => assertRuns(file), 180_000)
})

describe("finding fences", () => {
  it("takes each ts fence with its line, without its indentation", () => {
    const text = ["a", "```ts", "one()", "```", "- b", "  ```ts twoslash", "  two()", "  ```", ""].join("\n")
    assert.deepStrictEqual(fencesOf("p", text), [
      { page: "p", line: 3, body: "one()\n" },
      { page: "p", line: 7, body: "two()\n" }
    ])
  })
  it("leaves other languages and ignored fences", () => {
    assert.deepStrictEqual(fencesOf("p", "```tsx\na\n```\n```ts ignore\nb\n```\n```json\n{}\n```\n"), [])
  })
})
