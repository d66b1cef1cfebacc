/**
 * Runs the diagnostics of Effect's language service on every file: a plain command, no patched compiler.
 * @module
 */
import { run } from "./internal/command.mjs"

const script = "node_modules/@effect/language-service/cli.js"
const args = ["diagnostics", "--project", "tsconfig.test.json", "--strict", "--format", "text"]
const { code, output } = await run(process.execPath, [script, ...args])

// a file of no project that lists the plugin is passed over in silence: it would never be checked
const [, checked, all] = /Checked (\d+) files out of (\d+)/.exec(output) ?? []
const complete = checked !== undefined && checked === all
if (code !== 0 || !complete) {
  console.error(output)
  if (!complete) console.error("Some files belong to no project that the root tsconfig.json refers to")
}
process.exitCode = code === 0 && complete ? 0 : 1
