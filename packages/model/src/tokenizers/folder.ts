/**
 * A tokenizer from a folder in Hugging Face layout.
 * @module
 */
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import type { Tokenizer } from "../Tokenizer.ts"
import { TokenizerError } from "../TokenizerError.ts"
import { tokenizerFromJson } from "./json.ts"

/** Greatest size of a file that is read whole: the largest vocabularies in use take 35 MB. */
const MAX_FILE_BYTES = 256 * 2 ** 20

/**
 * Reads `tokenizer.json` and, where present, `tokenizer_config.json`, `special_tokens_map.json`,
 * `generation_config.json` (else `config.json`) and `chat_template.jinja`. Throws `TokenizerError`.
 *
 * @example Encode and decode
 * ```ts ignore needs a folder
 * import { tokenizerFromFolder } from "@swarm/model"
 *
 * const tokenizer = tokenizerFromFolder("models/tiny")
 * tokenizer.decode(tokenizer.encode("Once upon a time")) // "Once upon a time"
 * ```
 */
export const tokenizerFromFolder = (folder: string): Tokenizer => {
  const json = (name: string): unknown => {
    const path = join(folder, name)
    const text = readText(path)
    if (text === undefined) return undefined
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new TokenizerError({ file: path, detail: "it is not valid JSON", cause })
    }
  }
  const tokenizer = json("tokenizer.json")
  if (tokenizer === undefined) {
    const detail = existsSync(join(folder, "tokenizer.model"))
      ? 'there is a "tokenizer.model" but no "tokenizer.json"; convert it with transformers: save_pretrained of the fast tokenizer'
      : 'there is no "tokenizer.json"'
    throw new TokenizerError({ file: folder, detail })
  }
  return tokenizerFromJson({
    file: join(folder, "tokenizer.json"),
    tokenizer,
    config: json("tokenizer_config.json"),
    specialTokens: json("special_tokens_map.json"),
    generation: json("generation_config.json") ?? json("config.json"),
    template: readText(join(folder, "chat_template.jinja"))
  })
}

const readText = (path: string): string | undefined => {
  try {
    const { size } = statSync(path)
    if (size > MAX_FILE_BYTES) {
      throw new TokenizerError({ file: path, detail: `it has ${size} bytes, more than ${MAX_FILE_BYTES}` })
    }
    return readFileSync(path, "utf8")
  } catch (cause) {
    if (cause instanceof TokenizerError) throw cause
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR"))
      return undefined
    throw new TokenizerError({ file: path, detail: cause instanceof Error ? cause.message : String(cause), cause })
  }
}
