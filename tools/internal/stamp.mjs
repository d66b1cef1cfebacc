/**
 * Content stamps: what was installed and built, so that a second run does nothing.
 * @module
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import path from "node:path"
import { cacheFolder, packages, root } from "./workspace.mjs"

/**
 * @typedef {object} Stamps
 * @property {string} [install] digest of everything that decides what is installed
 * @property {Record<string, { digest: string, files: ReadonlyArray<string> }>} build by package
 */

const stampFile = path.join(cacheFolder, "stamps.json")

/** @returns {Stamps} */
export const readStamps = () => {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"))
  } catch {
    return { build: {} }
  }
}

/** @param {Stamps} stamps */
export const writeStamps = (stamps) => {
  mkdirSync(cacheFolder, { recursive: true })
  const fresh = `${stampFile}.${process.pid}`
  writeFileSync(fresh, JSON.stringify(stamps))
  renameSync(fresh, stampFile)
}

/**
 * Every file below a folder, relative to it, sorted.
 * @param {string} folder
 * @returns {ReadonlyArray<string>}
 */
export const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
        .sort()
    : []

/**
 * Digest of the names and contents of files.
 * @param {ReadonlyArray<string>} files absolute; one that is missing counts as such
 */
const digest = (files) => {
  const hash = createHash("sha256")
  for (const file of files) {
    hash.update(`${path.relative(root, file)}\0`)
    hash.update(existsSync(file) ? readFileSync(file) : "missing")
    hash.update("\0")
  }
  return hash.digest("hex")
}

/** What the installed modules depend on. */
export const installDigest = () =>
  digest([
    ...["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"].map((name) => path.join(root, name)),
    ...packages().map(({ folder }) => path.join(folder, "package.json"))
  ])

/**
 * What the built files of a package depend on. Other packages stay imports, so their sources do not matter.
 * @param {import("./workspace.mjs").Package} pack
 */
export const buildDigest = ({ folder }) =>
  digest([
    path.join(root, "tsup.shared.ts"),
    path.join(root, "tsconfig.base.json"),
    ...["package.json", "tsup.config.ts", "tsconfig.json"].map((name) => path.join(folder, name)),
    ...filesBelow(path.join(folder, "src")).map((name) => path.join(folder, "src", name))
  ])

/**
 * Whether a package's `dist` is that of its sources.
 * @param {import("./workspace.mjs").Package} pack
 * @param {Stamps} stamps
 */
export const isBuilt = (pack, stamps) => {
  const stamp = stamps.build[pack.short]
  return (
    stamp !== undefined &&
    stamp.files.length > 0 &&
    stamp.files.every((name) => existsSync(path.join(pack.folder, "dist", name))) &&
    stamp.digest === buildDigest(pack)
  )
}
