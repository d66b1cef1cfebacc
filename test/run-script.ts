/**
 * Runs a script as a user would, in its own process, and compares what it prints with what it says that it prints.
 * @module
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { assert } from "vitest"

/** The root of the checkout: where scripts are run. */
export const root = fileURLToPath(new URL("..", import.meta.url))

/** A script must end by itself within this time. */
const limitMs = 120_000

/** The loader of TypeScript, as an absolute URL: the script may lie anywhere. */
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

/**
 * The lines that a script promises: the text of the comment lines from `// prints:` to its end.
 * Empty if it promises nothing.
 */
export const promisedLines = (source: string): ReadonlyArray<string> => {
  const lines = source.trimEnd().split("\n")
  const start = lines.findLastIndex((line) => line.startsWith("// prints:"))
  const comment = start < 0 ? [] : lines.slice(start)
  if (!comment.every((line) => line.startsWith("//"))) return []
  return comment.map((line) => line.replace(/^\/\/ ?(prints:)?/, "").trim()).filter((line) => line !== "")
}

/** The first promised line that the output lacks, in order; undefined if all are there. */
export const missingLine = (promised: ReadonlyArray<string>, output: string): string | undefined => {
  const printed = output.split("\n").map((line) => line.trim())
  let next = 0
  for (const line of promised) {
    const at = printed.findIndex((candidate, index) => index >= next && candidate.includes(line))
    if (at < 0) return line
    next = at + 1
  }
  return undefined
}

const runNode = (args: ReadonlyArray<string>): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], timeout: limitMs })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (signal !== null) stderr += `\nended by ${signal}`
      resolve({ code: code ?? 1, stdout, stderr })
    })
  })

/** Fails unless the script ends with code 0 and prints what it promises. */
export const assertRuns = async (file: string): Promise<void> => {
  const { code, stdout, stderr } = await runNode(["--import", tsx, "--conditions=swarm-src", file])
  assert.strictEqual(code, 0, `${file}\n${stdout}\n${stderr}`)
  const missing = missingLine(promisedLines(readFileSync(file, "utf8")), stdout)
  assert.isUndefined(missing, `the output lacks a promised line; it is:\n${stdout}`)
}

/** Fails unless every file of a TypeScript project is well typed. */
export const assertTypes = async (project: string): Promise<void> => {
  const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url))
  const { code, stdout } = await runNode([tsc, "-p", project, "--pretty", "false"])
  assert.strictEqual(code, 0, stdout)
}
