/**
 * Which files of a repository are needed to run its model.
 * @module
 */

/** A file of a repository at one commit. */
export interface HubFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Name of the blob in the cache: the checksum below. */
  readonly etag: string
  /** `sha256` of the content for large files, else git's `sha1` of a blob. */
  readonly checksum: "sha256" | "git-sha1"
}

/** Files beside the weights, where present. */
const SMALL = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "quantize_config.json",
  "quant_config.json"
])

/**
 * The needed files, weights last, or the reason why there are none. Safetensors are preferred; `gguf` names a GGUF file
 * instead, by its path or by a part that only it has, such as `Q4_K_M`. All parts of a split GGUF file belong to it.
 */
export const chooseFiles = (
  files: ReadonlyArray<HubFile>,
  gguf?: string
): { readonly files: ReadonlyArray<HubFile> } | { readonly problem: string } => {
  const small = files.filter((file) => SMALL.has(file.path))
  const weights = gguf === undefined ? safetensors(files) : []
  if (weights.length > 0) return { files: [...small, ...weights] }

  const sets = new Map<string, Array<HubFile>>()
  for (const file of files) {
    if (!file.path.toLowerCase().endsWith(".gguf")) continue
    const key = file.path.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/i, "")
    sets.set(key, [...(sets.get(key) ?? []), file])
  }
  const matches = (key: string): boolean =>
    gguf === undefined || key.toLowerCase().includes(gguf.toLowerCase().replace(/-\d{5}-of-\d{5}(?=\.gguf$)/i, ""))
  const exact = [...sets.keys()].find((key) => key === gguf)
  const found = exact === undefined ? [...sets.keys()].filter(matches) : [exact]
  const [only, another] = found
  if (only === undefined) {
    if (gguf === undefined) return { problem: "it has neither safetensors nor GGUF files" }
    return { problem: `no GGUF file is named "${gguf}", there are ${names(sets.keys())}` }
  }
  if (another !== undefined) return { problem: `choose one GGUF file of ${names(found)}` }
  return { files: [...small, ...(sets.get(only) ?? [])] }
}

/** Weights of the model itself: no adapters, no second copy in another layout (`consolidated`), nothing in folders. */
const safetensors = (files: ReadonlyArray<HubFile>): ReadonlyArray<HubFile> => {
  const all = files.filter((file) => /^[^/]+\.safetensors(\.index\.json)?$/.test(file.path))
  const standard = all.filter((file) => /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/.test(file.path))
  if (standard.some((file) => file.path.endsWith(".safetensors"))) return standard
  const other = all.filter((file) => !/^(adapter|consolidated)/.test(file.path))
  return other.some((file) => file.path.endsWith(".safetensors")) ? other : []
}

const names = (keys: Iterable<string>): string => {
  const all = [...keys]
  return all.length === 0 ? "none" : all.map((key) => `"${key}"`).join(", ")
}
