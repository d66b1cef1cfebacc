/**
 * A tokenizer from the parsed files of a Hugging Face folder.
 * @module
 */
import { Tokenizer as Library } from "@huggingface/tokenizers"
import { chatTemplate, chatTemplateSource } from "../chat.ts"
import type { Tokenizer } from "../Tokenizer.ts"
import { TokenizerError } from "../TokenizerError.ts"
import { assemble, forceAffixes } from "./assemble.ts"
import {
  type AddedToken,
  isId,
  isJson,
  type Json,
  type Layout,
  readAddedToken,
  readAffixes,
  readLayout
} from "./layout.ts"
import { readSpelling } from "./pieces.ts"

/** Parsed files; each is what `JSON.parse` gave, of any shape. All but the first may be absent. */
export interface TokenizerFiles {
  /** For errors. */
  readonly file: string
  /** tokenizer.json. Its vocabulary is borrowed: do not change it. */
  readonly tokenizer: unknown
  /** tokenizer_config.json */
  readonly config?: unknown
  /** special_tokens_map.json */
  readonly specialTokens?: unknown
  /** generation_config.json, or config.json where a model has none */
  readonly generation?: unknown
  /** chat_template.jinja; wins over `chat_template` of the configuration */
  readonly template?: string | undefined
}

/**
 * Makes a tokenizer. About 0.15 s for 50,000 tokens. Throws `TokenizerError`.
 * `clean_up_tokenization_spaces` is not applied: decoded text is what the model wrote.
 */
export const tokenizerFromJson = (files: TokenizerFiles): Tokenizer => {
  const { file } = files
  const config = isJson(files.config) ? files.config : {}
  const layout = withConfiguredTokens(file, readLayout(file, files.tokenizer), config)
  const library = load(file, layout)
  const specialTokens = isJson(files.specialTokens) ? files.specialTokens : {}
  const generation = isJson(files.generation) ? files.generation : {}

  const named = (name: string): string | undefined => tokenText(config[name]) ?? tokenText(specialTokens[name])
  const idOf = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : library.token_to_id(text)
  const bos = idOf(named("bos_token")) ?? [generation.bos_token_id].find(isId)
  const eos = idOf(named("eos_token"))
  const ends = [eos, generation.eos_token_id].flat().filter(isId)

  const source = files.template ?? chatTemplateSource(config.chat_template)
  const names = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"]
  return assemble({
    file,
    split: (text) => library.encode(text, { add_special_tokens: false }).ids,
    affixes: forceAffixes(
      readAffixes(file, layout.post_processor),
      { id: bos, add: flag(config.add_bos_token) },
      { id: eos, add: flag(config.add_eos_token) }
    ),
    token: (id) => library.id_to_token(id),
    special: new Set(layout.added_tokens.filter((token) => token.special).map((token) => token.id)),
    spelling: readSpelling(file, layout.decoder),
    bos,
    eos: new Set(ends),
    template:
      source === undefined
        ? undefined
        : chatTemplate(file, source, Object.fromEntries(names.map((name) => [name, named(name)])))
  })
}

/** Text -> ids without affixes, for a structure that was made in memory. Throws `TokenizerError`. */
export const tokenizerSplitter = (file: string, layout: Layout): ((text: string) => Array<number>) => {
  const library = load(file, layout)
  return (text) => library.encode(text, { add_special_tokens: false }).ids
}

const load = (file: string, layout: Layout): Library => {
  try {
    // post-processor and decoder are run here, not by the library
    return new Library({ ...layout, post_processor: null, decoder: null }, { clean_up_tokenization_spaces: false })
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new TokenizerError({ file, detail, cause })
  }
}

/** `added_tokens_decoder` of the configuration may hold tokens that tokenizer.json does not. */
const withConfiguredTokens = (file: string, layout: Layout, config: Json): Layout => {
  if (!isJson(config.added_tokens_decoder)) return layout
  const known = new Set(layout.added_tokens.map((token) => token.id))
  const more: Array<AddedToken> = []
  for (const [id, token] of Object.entries(config.added_tokens_decoder)) {
    if (known.has(Number(id))) continue
    more.push(readAddedToken(file, { ...(isJson(token) ? token : {}), id: Number(id) }, `added_tokens_decoder.${id}`))
  }
  return { ...layout, added_tokens: [...layout.added_tokens, ...more] }
}

/** A special token is written as its text or as `{ content }`. */
const tokenText = (field: unknown): string | undefined => {
  const text = isJson(field) ? field.content : field
  return typeof text === "string" ? text : undefined
}

const flag = (field: unknown): boolean | undefined => (typeof field === "boolean" ? field : undefined)
