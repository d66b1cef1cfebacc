/**
 * Checked access to the keys `tokenizer.ggml.*`.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#ggml
 * @module
 */
import { TokenizerError } from "../TokenizerError.ts"

/** The metadata of a GGUF file by key; arrays may be typed arrays, integers may be bigints. */
export interface TokenizerMetadata {
  readonly get: (key: string) => unknown
}

/** Values of `tokenizer.ggml.token_type`. */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

/** A checked vocabulary. Every method throws `TokenizerError`. */
export interface GgufVocabulary {
  readonly file: string
  readonly model: "gpt2" | "llama"
  /** Text of each id. */
  readonly tokens: ReadonlyArray<string>
  /** Ids of the given types, ascending. */
  readonly idsOf: (...types: ReadonlyArray<number>) => ReadonlyArray<number>
  /** An id within the vocabulary, or undefined. */
  readonly id: (key: string) => number | undefined
  readonly flag: (key: string) => boolean | undefined
  readonly string: (key: string) => string | undefined
  /** Pairs of tokens, "left right", best first. */
  readonly merges: () => ReadonlyArray<string>
  /** One score per token. */
  readonly scores: () => ArrayLike<number>
  /** Ids of the bytes 0 to 255, or undefined if one of them is missing. */
  readonly bytes: () => ReadonlyArray<number> | undefined
}

/** Reads the vocabulary. Borrows the arrays of the metadata. */
export const readGgufVocabulary = (file: string, metadata: TokenizerMetadata): GgufVocabulary => {
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`) ?? undefined
  const fail = (key: string, detail: string): TokenizerError =>
    new TokenizerError({ file, detail: `"tokenizer.ggml.${key}" ${detail}` })

  const model = get("model")
  if (model !== "gpt2" && model !== "llama") {
    throw fail("model", model === undefined ? "is missing" : `is "${String(model)}", supported are "gpt2" and "llama"`)
  }
  const strings = (key: string): ReadonlyArray<string> => {
    const value = get(key)
    if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value
    throw fail(key, value === undefined ? "is missing" : "is not a list of strings")
  }
  const tokens = strings("tokens")
  const numbers = (key: string): ArrayLike<number> => {
    const value = get(key)
    if (!isNumbers(value)) throw fail(key, value === undefined ? "is missing" : "is not a list of numbers")
    if (value.length < tokens.length) throw fail(key, `has ${value.length} entries for ${tokens.length} tokens`)
    return value
  }
  const types = get("token_type") === undefined ? undefined : numbers("token_type")

  return {
    file,
    model,
    tokens,
    idsOf: (...wanted) => {
      const ids: Array<number> = []
      for (let id = 0; id < tokens.length; id++) if (wanted.includes(types?.[id] ?? TokenType.normal)) ids.push(id)
      return ids
    },
    id: (key) => {
      const value = get(key)
      if (value === undefined) return undefined
      const id = Number(value)
      if (!Number.isInteger(id) || id < 0 || id >= tokens.length) {
        throw fail(key, `is ${String(value)}, not an id of ${tokens.length} tokens`)
      }
      return id
    },
    flag: (key) => {
      const value = get(key)
      if (value === undefined || typeof value === "boolean") return value
      throw fail(key, `is ${String(value)}, not true or false`)
    },
    string: (key) => {
      const value = get(key)
      if (value === undefined || typeof value === "string") return value
      throw fail(key, `is ${String(value)}, not a string`)
    },
    merges: () => {
      const merges = strings("merges")
      const bad = merges.findIndex((merge) => merge.indexOf(" ", 1) < 0)
      if (bad >= 0) throw fail("merges", `has "${merges[bad]}" at ${bad}, not two tokens`)
      return merges
    },
    scores: () => numbers("scores"),
    bytes: () => {
      const byText = new Map<string, number>()
      for (let id = 0; id < tokens.length; id++)
        if ((types?.[id] ?? TokenType.byte) === TokenType.byte) byText.set(tokens[id] ?? "", id)
      const ids = Array.from({ length: 256 }, (_, byte) =>
        byText.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)
      )
      return ids.every((id) => id !== undefined) ? ids : undefined
    }
  }
}

const isNumbers = (value: unknown): value is ArrayLike<number> =>
  (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) &&
  Array.prototype.every.call(value, (item) => typeof item === "number")
