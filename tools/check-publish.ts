/**
 * Packs every package as it would be published and checks the result: exports, types and the files behind them.
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import path from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { run } from "./internal/command.mjs"
import { cacheFolder, packages, readManifest, root } from "./internal/workspace.mjs"

const folder = path.join(cacheFolder, `pack-${process.pid}`)

/** The tarball of each package, made by the package manager: workspace versions are resolved as at publishing. */
const pack = async (): Promise<ReadonlyArray<string>> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const manager = readManifest(root).packageManager ?? "pnpm"
  const args = ["--yes", manager, "-r", "--filter", "./packages/*", "pack", "--pack-destination", folder]
  const { code, output } = await run("npx", args)
  if (code !== 0) throw new Error(output)
  return readdirSync(folder).filter((name) => name.endsWith(".tgz"))
}

/** What publint says about a tarball. */
const lint = async (file: string): Promise<ReadonlyArray<string>> => {
  const bytes = new Uint8Array(readFileSync(file))
  const { messages, pkg } = await publint({ strict: true, pack: { tarball: bytes.buffer } })
  return messages.flatMap((message) => formatMessage(message, pkg) ?? [])
}

/** What attw says about the types of a tarball. Only ESM is published: a CommonJS consumer is no concern. */
const resolveTypes = async (file: string): Promise<ReadonlyArray<string>> => {
  const script = path.join(root, "node_modules/@arethetypeswrong/cli/dist/index.js")
  const { code, output } = await run(process.execPath, [script, file, "--profile", "esm-only", "--format", "ascii"])
  return code === 0 ? [] : [output]
}

let failed = false
try {
  const tarballs = await pack()
  for (const { manifest } of packages()) {
    const prefix = `${manifest.name.replace("@", "").replace("/", "-")}-`
    const tarball = tarballs.find((name) => name.startsWith(prefix) && /^\d/.test(name.slice(prefix.length)))
    const file = path.join(folder, tarball ?? "")
    const problems = tarball === undefined ? ["was not packed"] : [...(await lint(file)), ...(await resolveTypes(file))]
    for (const problem of problems) console.error(`${manifest.name}: ${problem}`)
    failed ||= problems.length > 0
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
