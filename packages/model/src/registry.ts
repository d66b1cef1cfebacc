/**
 * The families that are known: the built-in ones and those that a program adds.
 * @module
 */
import type { Dialect, Family, Format } from "./Family.ts"
import { bert } from "./families/bert.ts"
import { bloom } from "./families/bloom.ts"
import { cohere } from "./families/cohere.ts"
import { falcon } from "./families/falcon.ts"
import { gemma2 } from "./families/gemma2.ts"
import { gemma3 } from "./families/gemma3.ts"
import { gpt2 } from "./families/gpt2.ts"
import { gptBigcode } from "./families/gptBigcode.ts"
import { gptj } from "./families/gptj.ts"
import { gptNeox } from "./families/gptNeox.ts"
import { granite } from "./families/granite.ts"
import { llama } from "./families/llama.ts"
import { mistral } from "./families/mistral.ts"
import { mixtral } from "./families/mixtral.ts"
import { olmo2 } from "./families/olmo2.ts"
import { opt } from "./families/opt.ts"
import { phi } from "./families/phi.ts"
import { phi3 } from "./families/phi3.ts"
import { qwen2 } from "./families/qwen2.ts"
import { qwen3 } from "./families/qwen3.ts"
import { qwen2Moe, qwen3Moe } from "./families/qwenMoe.ts"
import { smollm3 } from "./families/smollm3.ts"
import { stablelm } from "./families/stablelm.ts"
import { starcoder2 } from "./families/starcoder2.ts"
import { UnknownArchitecture } from "./ModelError.ts"

/** The families that are read without registering anything. */
export const builtIn = [
  llama,
  mistral,
  mixtral,
  qwen2,
  qwen2Moe,
  qwen3,
  qwen3Moe,
  gemma2,
  gemma3,
  phi3,
  granite,
  olmo2,
  gpt2,
  gptBigcode,
  gptNeox,
  falcon,
  bloom,
  bert,
  starcoder2,
  phi,
  stablelm,
  cohere,
  gptj,
  opt,
  smollm3
] as const

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
