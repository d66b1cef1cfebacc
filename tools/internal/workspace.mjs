/**
 * Where things are in this repository, for tools that run before anything is installed.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import os from "node:os"
import path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** The root of the checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..")

/** What the tools keep between runs; goes away with `node_modules`. */
export const cacheFolder = path.join(root, "node_modules", ".cache", "swarm")

/** The script behind the `swarm` command. */
export const swarmScript = path.join(root, "packages", "cli", "bin", "swarm.js")

/**
 * @typedef {object} Manifest the fields of a package.json that the tools read
 * @property {string} name
 * @property {string} [description]
 * @property {string} [packageManager]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [peerDependencies]
 * @property {Record<string, string>} [optionalDependencies]
 */

/** @typedef {{ readonly folder: string, readonly short: string, readonly manifest: Manifest }} Package */

/**
 * @param {string} folder
 * @returns {Manifest}
 */
export const readManifest = (folder) => JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"))

/**
 * Every package of the workspace, by name.
 * @returns {ReadonlyArray<Package>}
 */
export const packages = () =>
  readdirSync(path.join(root, "packages"))
    .sort()
    .map((short) => ({ short, folder: path.join(root, "packages", short) }))
    .filter(({ folder }) => existsSync(path.join(folder, "package.json")))
    .map((entry) => ({ ...entry, manifest: readManifest(entry.folder) }))

/** Where downloads and packed weights live: `SWARM_CACHE`, else `swarm` in the user's cache folder. */
export const userCache = () =>
  process.env.SWARM_CACHE ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "swarm")

/**
 * Whether the file of this URL is the one that Node was started with.
 * @param {string} url `import.meta.url`
 */
export const isMain = (url) =>
  process.argv[1] !== undefined && url === pathToFileURL(path.resolve(process.argv[1])).href
