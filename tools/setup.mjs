/**
 * Makes a checkout runnable: `npm run setup`. Installs the pinned dependencies, runs no script of theirs, and builds
 * what the `swarm` command needs. Does nothing, quickly, if both are done already. Needs Node and npm only.
 * @module
 */
import { existsSync } from "node:fs"
import path from "node:path"
import { run, stopGroupsOnSignal } from "./internal/command.mjs"
import { withLock } from "./internal/lock.mjs"
import { installDigest, isBuilt, readStamps, writeStamps } from "./internal/stamp.mjs"
import { isMain, packages, readManifest, root } from "./internal/workspace.mjs"

/** A failure that the user can do something about: the message says what. */
export class SetupError extends Error {
  constructor(/** @type {string} */ message) {
    super(message)
    this.name = "SetupError"
  }
}

const oldestNode = /** @type {const} */ ([20, 19])

/** Throws unless this Node is one that the project runs on. */
const checkNode = () => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return
  throw new SetupError(
    `Swarm needs Node ${oldestNode.join(".")} or newer; this is ${process.version}. Install a current Node from https://nodejs.org and run the command again.`
  )
}

/** What is known to go wrong at installing, and what to do about it. @type {ReadonlyArray<readonly [RegExp, string]>} */
const remedies = [
  [
    /ENOSPC|no space left/i,
    "The disk is full: an installation needs about 1 GB. Free some space and run the command again."
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|META_FETCH_FAIL|ERR_INVALID_URL/,
    "The package registry cannot be reached. Check the network (and `npm config get registry`, `HTTPS_PROXY`) and run the command again."
  ],
  [
    /EACCES|EPERM/,
    "A file or folder is not writable for this user: check the owner of the checkout and of the npm cache."
  ],
  [
    /ERR_PNPM_OUTDATED_LOCKFILE|frozen-lockfile/i,
    "pnpm-lock.yaml does not fit the package.json files: run `npx MANAGER install` and commit the lockfile."
  ]
]

/** @param {(line: string) => void} report */
const install = async (report) => {
  const manager = readManifest(root).packageManager ?? "pnpm"
  report(`Installing dependencies with ${manager}`)
  let told = Date.now()
  const { code, output } = await run(
    "npx",
    [
      "--yes",
      manager,
      "install",
      "--frozen-lockfile",
      "--ignore-scripts",
      "--reporter=append-only",
      // the version is pinned by this command: pnpm must not switch itself, nor ask before it replaces a foreign layout
      "--config.manage-package-manager-versions=false",
      "--config.confirm-modules-purge=false"
    ],
    {
      env: { ONNXRUNTIME_NODE_INSTALL: "skip" },
      onOutput: (text) => {
        const progress = /resolved (\d+), reused (\d+), downloaded (\d+), added (\d+)/.exec(text)
        if (progress === null || Date.now() - told < 2_000) return
        told = Date.now()
        report(`  ${progress[4]} of ${progress[1]} packages`)
      }
    }
  )
  if (code === 0) return
  const remedy = remedies.find(([symptom]) => symptom.test(output))?.[1]?.replace("MANAGER", manager)
  const notFound =
    code === 127 ? "npx was not found: it comes with npm; install npm and run the command again." : undefined
  throw new SetupError(
    `${output.split("\n").slice(-20).join("\n")}\n${notFound ?? remedy ?? "The installation failed: the reason stands above."}`
  )
}

/**
 * @param {ReadonlyArray<import("./internal/workspace.mjs").Package>} stale
 * @param {(line: string) => void} report
 */
const build = async (stale, report) => {
  report(`Building ${stale.length} package${stale.length === 1 ? "" : "s"}`)
  const { code, output } = await run(process.execPath, ["tools/build.mjs", ...stale.map(({ short }) => short)])
  if (code !== 0) throw new SetupError(`${output}\nThe build failed: the reason stands above.`)
}

/** What is still to do. */
const pending = () => {
  const stamps = readStamps()
  return {
    install: stamps.install !== installDigest() || !existsSync(path.join(root, "node_modules", ".modules.yaml")),
    stale: packages().filter((pack) => !isBuilt(pack, stamps))
  }
}

/**
 * Installs and builds what is not up to date. Safe to call from several processes at once.
 * @param {(line: string) => void} report takes lines of progress; none if there is nothing to do
 * @throws {SetupError} with a message that says what to do
 */
export const setup = async (report) => {
  checkNode()
  const first = pending()
  if (!first.install && first.stale.length === 0) return
  const started = Date.now()
  await withLock(
    path.join(root, ".setup.lock"),
    () => report("Another setup is running in this checkout: waiting for it"),
    async () => {
      if (pending().install) {
        const digest = installDigest()
        await install(report)
        writeStamps({ ...readStamps(), install: digest })
      }
      const { stale } = pending()
      if (stale.length > 0) await build(stale, report)
    }
  )
  report(`Ready after ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

/**
 * As `setup`, but prints the message of a failure and ends the process with code 1.
 * @param {(line: string) => void} report
 */
export const setupOrExit = async (report) => {
  try {
    await setup(report)
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error)
    process.exit(1)
  }
}

if (isMain(import.meta.url)) {
  stopGroupsOnSignal()
  let worked = false
  await setupOrExit((line) => {
    worked = true
    console.log(line)
  })
  if (!worked) console.log("Everything is installed and built")
}
