/**
 * The gate: every check of the repository, in the order in which a mistake is cheapest to learn of.
 * @module
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs"
import path from "node:path"
import { run } from "./command.mjs"
import { cacheFolder, root } from "./workspace.mjs"

/** @typedef {{ readonly passed: number, readonly failed: number, readonly skipped: number }} Counts */

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {ReadonlyArray<ReadonlyArray<string>>} commands run by Node one after another, until one fails
 * @property {boolean} [tests] its reporter says how many tests it ran; its output is shown while it comes
 * @property {number} [minutes] time limit of each command; default 5
 */

/**
 * The script behind a command of an installed package.
 * @param {string} name of the package
 * @param {string} [command] default: the package's only one
 */
const tool = (name, command) => {
  const folder = path.join(root, "node_modules", name)
  /** @type {{ bin: string | Record<string, string> }} */
  const { bin } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"))
  const script = typeof bin === "string" ? bin : (bin[command ?? name] ?? Object.values(bin)[0])
  return path.join(folder, script ?? "")
}

/** @param {string} script */
const typed = (script) => ["--import", "tsx", `tools/${script}`]

/**
 * Every step.
 * @returns {ReadonlyArray<Step>}
 */
export const steps = () => [
  {
    name: "format",
    commands: [
      [tool("@biomejs/biome", "biome"), "ci", "--error-on-warnings", "--diagnostic-level=warn", "--colors=off"]
    ]
  },
  { name: "tree", commands: [typed("check-tree.ts")] },
  { name: "layers", commands: [typed("check-layers.ts")] },
  { name: "index", commands: [typed("package-index.ts")] },
  {
    name: "types",
    commands: [[tool("typescript", "tsc"), "-b", "--pretty", "false"]]
  },
  { name: "effect", commands: [typed("check-effect.ts")] },
  { name: "knip", commands: [[tool("knip"), "--no-progress"]] },
  { name: "test", commands: [[tool("vitest"), "run"]], tests: true, minutes: 20 },
  { name: "build", commands: [["tools/build.mjs", "--types"]] },
  { name: "publish", commands: [typed("check-publish.ts")] }
]

/** @param {string} file */
const readCounts = (file) => {
  try {
    return /** @type {Counts & { skippedNames: ReadonlyArray<string> }} */ (JSON.parse(readFileSync(file, "utf8")))
  } catch {
    return undefined
  }
}

/**
 * Runs one step: a line with its time, its output if it failed.
 * @param {Step} step
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Counts>}
 */
const runStep = async (step, env) => {
  const started = Date.now()
  const report = path.join(cacheFolder, `tests-${process.pid}.json`)
  let code = 0
  let output = ""
  if (step.tests) console.log(`      ${step.name}`)
  for (const command of step.commands) {
    const outcome = await run(process.execPath, command, {
      env: { ...env, ...(step.tests ? { SWARM_TEST_REPORT: report } : {}) },
      stream: step.tests ?? false,
      timeoutMs: (step.minutes ?? 5) * 60_000
    })
    code = outcome.code
    output = outcome.output
    if (code !== 0) break
  }
  const counts = step.tests ? readCounts(report) : undefined
  rmSync(report, { force: true })
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  if (code !== 0 && !step.tests) console.log(output)
  console.log(`${code === 0 ? "ok   " : "FAILED"} ${step.name.padEnd(8)} ${seconds.padStart(6)} s`)
  if (counts === undefined) return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }
  for (const name of counts.skippedNames) console.log(`skipped: ${name}`)
  // a run that broke without a failing test (no memory, a time limit, processes left behind) is a failure all the same
  return { ...counts, failed: code !== 0 && counts.failed === 0 ? 1 : counts.failed }
}

/**
 * Runs steps, all of them whatever fails, and adds up their counts: each step is one check, tests count by themselves.
 * @param {ReadonlyArray<Step>} chosen
 * @param {NodeJS.ProcessEnv} [env] added to the environment of each step
 * @returns {Promise<Counts>}
 */
export const runGate = async (chosen, env = {}) => {
  mkdirSync(cacheFolder, { recursive: true })
  let total = { passed: 0, failed: 0, skipped: 0 }
  for (const step of chosen) {
    const { passed, failed, skipped } = await runStep(step, env)
    total = { passed: total.passed + passed, failed: total.failed + failed, skipped: total.skipped + skipped }
  }
  return total
}

/**
 * Prints the closing line of a run and sets the exit code.
 * @param {Counts} counts
 */
export const close = (counts) => {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""
  console.log(`\n${counts.passed} passed, ${counts.failed} failed${skipped}`)
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0
}
