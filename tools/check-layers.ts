/**
 * Checks the structure of the packages: direction of dependencies, owners of heavy dependencies, levels without Effect,
 * imports that name their file, and that only the command line ends the process.
 * @module
 */
import { existsSync, readFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import path from "node:path"
import ts from "typescript"
import { development, exceptions, levelOf, levelsWithoutEffect, owners } from "./internal/layers.ts"
import { filesBelow } from "./internal/stamp.mjs"
import { type Package, packages } from "./internal/workspace.mjs"

const scope = "@swarm/"

/** The package of an import: `@swarm/x/compliance` → `@swarm/x`. */
const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

const isEffect = (name: string): boolean => name === "effect" || name.startsWith("@effect/")

/** Why a package may not build on a dependency, if so. */
const objection = (from: string, dependency: string): string | undefined => {
  const owner = owners.find(([pattern]) => pattern.test(dependency))?.[1]
  if (owner !== undefined && !owner.includes(from)) return `is for ${owner.join(" and ")} only`
  const level = levelOf(from)
  if (level === undefined) return undefined
  if (levelsWithoutEffect.includes(level) && isEffect(dependency)) return `has no place at level ${level}`
  if (!dependency.startsWith(scope)) return undefined
  const to = dependency.slice(scope.length)
  if (to === from || exceptions.some(([a, b]) => a === from && b === to)) return undefined
  const lower = levelOf(to)
  return lower !== undefined && lower < level ? undefined : `is not below it (level ${lower ?? "none"}, from ${level})`
}

/** What is wrong with the dependencies that a package declares. */
const checkManifest = ({ short, manifest }: Package): ReadonlyArray<string> => {
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies }
  const problems = Object.keys(declared).flatMap((dependency) => {
    const reason = objection(short, dependency)
    return reason === undefined ? [] : [`packages/${short}/package.json: "${dependency}" ${reason}`]
  })
  const placed = levelOf(short) !== undefined || development.includes(short)
  return placed ? problems : [...problems, `packages/${short}: has no level in tools/internal/layers.ts`]
}

/** What is wrong with one import of a source file. */
const checkImport = (pack: Package, file: string, specifier: string): string | undefined => {
  if (specifier.startsWith(".")) {
    if (!specifier.endsWith(".ts")) return `"${specifier}" does not name its file with .ts`
    const target = path.resolve(path.dirname(file), specifier)
    const inside = target.startsWith(path.join(pack.folder, "src") + path.sep)
    return inside ? undefined : `"${specifier}" leaves the sources of the package`
  }
  if (isBuiltin(specifier)) return specifier.startsWith("node:") ? undefined : `"${specifier}" lacks node:`
  const name = packageOf(specifier)
  const { dependencies, peerDependencies, optionalDependencies } = pack.manifest
  if (![dependencies, peerDependencies, optionalDependencies].some((declared) => declared && name in declared))
    return `"${name}" is not among the dependencies`
  const reason = objection(pack.short, name)
  return reason === undefined ? undefined : `"${name}" ${reason}`
}

/** What is wrong with one source file. */
const checkSource = (pack: Package, file: string): ReadonlyArray<string> => {
  const text = readFileSync(file, "utf8")
  const imports = ts.preProcessFile(text, true, true).importedFiles
  const problems = imports.flatMap(({ fileName, pos }) => {
    const problem = checkImport(pack, file, fileName)
    return problem === undefined ? [] : [{ pos, problem }]
  })
  // the command's own edge, where a signal must be able to end it
  const isCommand = pack.short === "cli" && path.basename(file) === "runMain.ts"
  for (const match of isCommand ? [] : text.matchAll(/\bprocess\.exit\(/g))
    problems.push({ pos: match.index, problem: "a package does not end the process of its user" })
  return problems.map(({ pos, problem }) => {
    const line = text.slice(0, pos).split("\n").length
    return `packages/${pack.short}/src/${path.relative(path.join(pack.folder, "src"), file)}:${line}: ${problem}`
  })
}

const problems = packages().flatMap((pack) => {
  const source = path.join(pack.folder, "src")
  const files = existsSync(source) ? filesBelow(source).filter((name) => name.endsWith(".ts")) : []
  return [...checkManifest(pack), ...files.flatMap((name) => checkSource(pack, path.join(source, name)))]
})
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0
