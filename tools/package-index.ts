/**
 * Checks that `packages/README.md` lists every package at its level with its description; `--write` makes it so.
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { development, levels } from "./internal/layers.ts"
import { packages, root } from "./internal/workspace.mjs"

const known = new Map(packages().map(({ short, manifest }) => [short, manifest]))

const rows = (names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.flatMap((short) => {
    const manifest = known.get(short)
    return manifest === undefined ? [] : [`| [\`${manifest.name}\`](${short}) | ${manifest.description ?? ""} |`]
  })

const section = (title: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const body = rows(names)
  return body.length === 0 ? [] : [`## ${title}`, "", "| package | what it is |", "| --- | --- |", ...body, ""]
}

const text = [
  "# Packages",
  "",
  "Each level builds on lower ones only; inside a level, packages do not know each other. `npm run ok -- layers` checks",
  "it. This page is made from the package.json files by `node --import tsx tools/package-index.ts --write`.",
  "",
  ...levels.flatMap(({ purpose, packages: names }, level) => section(`Level ${level}: ${purpose}`, names)),
  ...section("For development", development).slice(0, -1),
  ""
].join("\n")

const file = path.join(root, "packages", "README.md")
if (process.argv.includes("--write")) writeFileSync(file, text)
else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
  console.error("packages/README.md is out of date: node --import tsx tools/package-index.ts --write")
  process.exitCode = 1
}
