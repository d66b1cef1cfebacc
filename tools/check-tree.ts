/**
 * Checks what is committed: a lockfile that works with any registry, and no text that names a path of one machine.
 * @module
 */
import { spawnSync } from "node:child_process"
import { lstatSync, readFileSync } from "node:fs"
import os from "node:os"
import path from "node:path"
import { filesBelow } from "./internal/stamp.mjs"
import { root } from "./internal/workspace.mjs"

/** Folders that are never committed: for a checkout without git. */
const generated = /(^|[\\/])(node_modules|dist|\.build|\.git|coverage)[\\/]|^test[\\/]generated[\\/]/

/** Files of the repository, ignored ones left out. */
const listFiles = (): ReadonlyArray<string> => {
  const git = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 26
  })
  if (git.status === 0 && git.stdout !== "") return git.stdout.split("\0").filter((name) => name !== "")
  return filesBelow(root).filter((name) => !generated.test(name))
}

/** A text that is no longer than any that people write; undefined for binaries, links and what is gone. */
const readText = (name: string): string | undefined => {
  const file = path.join(root, name)
  const stat = lstatSync(file, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile() || stat.size > 4_000_000) return undefined
  const bytes = readFileSync(file)
  return bytes.subarray(0, 8192).includes(0) ? undefined : bytes.toString()
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** Home folders anywhere, and where this checkout and its user live. */
const here = [root, os.homedir()].filter((folder) => folder.length > 4).map((folder) => `${escape(folder)}(?![\\w-])`)
const machinePath = new RegExp(`(?<![\\w.~:/-])(?:\\/(?:home|Users|root|work)\\/[\\w.-]+|${here.join("|")})`)

const problems: Array<string> = []
for (const name of listFiles()) {
  const text = readText(name)
  if (text === undefined) continue
  for (const [index, line] of text.split("\n").entries()) {
    const found = machinePath.exec(line)
    if (found !== null) problems.push(`${name}:${index + 1}: names a path of one machine: ${found[0]}`)
    if (name === "pnpm-lock.yaml" && /https?:\/\//.test(line) && !/^\s*deprecated:/.test(line))
      problems.push(`${name}:${index + 1}: holds the address of a registry: ${line.trim()}`)
  }
}
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0
