/**
 * Tokenizers made by other software, and the same as GGUF metadata.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs"

interface TokenizerCase {
  readonly text: string
  /** With BOS and EOS by the model's rule; absent in the sentencepiece fixture. */
  readonly ids?: ReadonlyArray<number>
  readonly plain: ReadonlyArray<number>
  readonly decoded: string
}

interface TokenizerJson {
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>
    readonly merges: ReadonlyArray<readonly [string, string]>
  }
  readonly added_tokens: ReadonlyArray<{ readonly id: number; readonly content: string; readonly special: boolean }>
}

export interface TokenizerFixture {
  readonly name: string
  readonly tokenizer: TokenizerJson
  readonly cases: ReadonlyArray<TokenizerCase>
}

export interface GgufFixture {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly cases: ReadonlyArray<TokenizerCase>
}

const folder = new URL("fixtures/tokenizers/", import.meta.url)

const readFixture = (path: string | URL): unknown => JSON.parse(readFileSync(path, "utf8"))

/** A list of cases; their shape is that of the fixtures' README. */
export const readList = <Case>(path: string | URL): ReadonlyArray<Case> => {
  const value: Array<Case> = JSON.parse(readFileSync(path, "utf8"))
  if (!Array.isArray(value) || value.length === 0) throw new Error(`${path} is not a list of cases`)
  return value
}

const isFixture = (value: unknown): value is Omit<TokenizerFixture, "name"> =>
  typeof value === "object" && value !== null && "tokenizer" in value && "cases" in value

const isGguf = (value: unknown): value is GgufFixture =>
  typeof value === "object" && value !== null && "metadata" in value && "cases" in value

/** Every tokenizer.json of the folder. */
export const fixtures: ReadonlyArray<TokenizerFixture> = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .flatMap((file) => {
    const value = readFixture(new URL(file, folder))
    return isFixture(value) ? [{ name: file.slice(0, -5), tokenizer: value.tokenizer, cases: value.cases }] : []
  })

export const fixture = (name: string): TokenizerFixture => {
  const found = fixtures.find((item) => item.name === name)
  if (found === undefined) throw new Error(`no fixture "${name}"`)
  return found
}

export const sentencePieceFixture = (): GgufFixture => {
  const value = readFixture(new URL("sentencepiece.json", folder))
  if (!isGguf(value)) throw new Error("sentencepiece.json is not a fixture")
  return value
}

/** Metadata as a GGUF reader gives it. */
export const metadataOf = (record: Readonly<Record<string, unknown>>): { readonly get: (key: string) => unknown } => ({
  get: (key) => record[key]
})

/** The metadata that a converter writes for a byte-level tokenizer.json. */
export const asGguf = ({ name, tokenizer }: TokenizerFixture): Readonly<Record<string, unknown>> => {
  const tokens: Array<string> = []
  const types: Array<number> = []
  for (const [token, id] of Object.entries(tokenizer.model.vocab)) {
    tokens[id] = token
    types[id] = 1
  }
  for (const { id, content, special } of tokenizer.added_tokens) {
    tokens[id] = content
    types[id] = special ? 3 : 4
  }
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": name,
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": Int32Array.from(types),
    "tokenizer.ggml.merges": tokenizer.model.merges.map((pair) => pair.join(" ")),
    "tokenizer.ggml.bos_token_id": tokens.indexOf("<s>"),
    "tokenizer.ggml.eos_token_id": tokens.indexOf("</s>")
  }
}
