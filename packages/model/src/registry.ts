/**
 * The families that are known: the built-in ones and those that a program adds.
 * @module
 */
import type { Dialect, Family, Format } from "./Family.ts"
import { llama } from "./families/llama.ts"
import { mistral } from "./families/mistral.ts"
import { qwen2 } from "./families/qwen2.ts"
import { qwen3 } from "./families/qwen3.ts"
import { UnknownArchitecture } from "./ModelError.ts"

/** The families that are read without registering anything. */
export const builtIn = [llama, mistral, qwen2, qwen3] as const

const families: Array<Family> = [...builtIn]

/** Adds a family. A later one wins over an earlier one of the same type, so that built-in families can be replaced. */
export const registerFamily = (family: Family): void => {
  families.unshift(family)
}

/** The dialect that reads `type`. `file` is for the error. Throws `UnknownArchitecture`. */
export const findDialect = (format: Format, type: string, file: string): Dialect => {
  const dialects = families.flatMap((family) => family[format] ?? [])
  const found = dialects.find((dialect) => dialect.types.includes(type))
  if (found !== undefined) return found
  const known = [...new Set(dialects.flatMap((dialect) => dialect.types))].sort()
  throw new UnknownArchitecture({ file, architecture: type, known })
}
