/**
 * Builds packages with tsup, one after another in one process: `node tools/build.mjs [--types] [PACKAGE …]`.
 *
 * Without `--types` only what running needs is made: no declarations. Stamps are written for what was built.
 * @module
 */
import path from "node:path"
import { build } from "tsup"
import { buildDigest, filesBelow, readStamps, writeStamps } from "./internal/stamp.mjs"
import { packages, root } from "./internal/workspace.mjs"

const args = process.argv.slice(2)
const types = args.includes("--types")
const wanted = args.filter((arg) => !arg.startsWith("--"))
if (!types) process.env.SWARM_BUILD = "run"

const chosen = packages().filter(({ short }) => wanted.length === 0 || wanted.includes(short))
for (const [index, pack] of chosen.entries()) {
  console.log(`${index + 1}/${chosen.length} ${pack.manifest.name}`)
  const digest = buildDigest(pack)
  // tsup finds configuration, sources and what stays external from the working folder: hence one at a time
  process.chdir(pack.folder)
  try {
    await build({
      silent: true,
      esbuildOptions: (options) => {
        options.absWorkingDir = pack.folder // esbuild keeps the folder that it was first loaded in
      }
    })
  } catch (error) {
    console.error(`${pack.manifest.name}: ${error instanceof Error ? error.message : error}`)
    process.exit(1)
  }
  process.chdir(root)
  const stamps = readStamps()
  const files = filesBelow(path.join(pack.folder, "dist")).filter((name) => name.endsWith(".js"))
  writeStamps({ ...stamps, build: { ...stamps.build, [pack.short]: { digest, files } } })
}
