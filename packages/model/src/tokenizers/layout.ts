/**
 * The structure of tokenizer.json, mended where `@huggingface/tokenizers` 0.2.0 departs from the original library.
 * @see https://github.com/huggingface/tokenizers (crate tokenizers, modules pre_tokenizers and processors)
 * @module
 */
import { TokenizerError } from "../TokenizerError.ts"

/** An object of a JSON file. */
export type Json = { readonly [key: string]: unknown }

/** A token matched in the text before all else. Further fields (`lstrip`, `normalized`, ...) pass through. */
export interface AddedToken extends Json {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

/** The parts of a tokenizer; each is `{ type, ... }`, or null for none. */
export interface Layout {
  readonly model: Json
  readonly normalizer: Json | null
  readonly pre_tokenizer: Json | null
  readonly post_processor: Json | null
  readonly decoder: Json | null
  readonly added_tokens: ReadonlyArray<AddedToken>
}

/** Ids put around every text. */
export interface Affixes {
  readonly before: ReadonlyArray<number>
  readonly after: ReadonlyArray<number>
}

/** True for objects that are not arrays. */
export const isJson = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** True for integers from 0 up. */
export const isId = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const fail = (file: string, detail: string): never => {
  throw new TokenizerError({ file, detail })
}

/** Checks a parsed tokenizer.json and mends its pre-tokenizer. Throws `TokenizerError`. Borrows the vocabulary. */
export const readLayout = (file: string, value: unknown): Layout => {
  if (!isJson(value)) return fail(file, "it is not a JSON object")
  const part = (key: string): Json | null => {
    const found = value[key] ?? null
    return found === null || isJson(found) ? found : fail(file, `"${key}" is not an object`)
  }
  const pre = part("pre_tokenizer")
  return {
    model: readModel(file, part("model")),
    normalizer: part("normalizer"),
    pre_tokenizer: pre === null ? null : mendPreTokenizer(file, pre),
    post_processor: part("post_processor"),
    decoder: part("decoder"),
    added_tokens: list(file, value.added_tokens ?? [], "added_tokens").map((token, i) =>
      readAddedToken(file, token, `added_tokens[${i}]`)
    )
  }
}

const readModel = (file: string, model: Json | null): Json => {
  if (model === null) return fail(file, `"model" is missing`)
  const type = model.type ?? ("merges" in model ? "BPE" : undefined)
  if (type === "BPE" && !(isJson(model.vocab) && Array.isArray(model.merges))) {
    return fail(file, `"model" has no object "vocab" and list "merges"`)
  }
  return { ...model, type }
}

/** Checks one entry of `added_tokens`. */
export const readAddedToken = (file: string, token: unknown, field: string): AddedToken => {
  if (!isJson(token)) return fail(file, `"${field}" is not an object`)
  const { id, content } = token
  if (!isId(id) || typeof content !== "string" || content === "") {
    return fail(file, `"${field}" has no "id" from 0 up and non-empty "content"`)
  }
  return { ...token, id, content, special: token.special === true }
}

/** Cuts text as GPT-2 does: a space belongs to the word after it. */
export const WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

const PUNCTUATION = "[\\p{P}\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E]"

/** What the expression `\w` means to the original. */
const LETTERS = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200C\\u200D"

/**
 * The JavaScript port has other ideas than the original of what digits, spaces and letters are (ASCII only, or those of
 * JavaScript), groups punctuation that should be isolated, and knows two of five split behaviours. All of it can be said
 * with a `Split`, whose expression it translates right.
 */
const mendPreTokenizer = (file: string, part: Json): Json => {
  switch (part.type) {
    case "Sequence":
      return {
        ...part,
        pretokenizers: list(file, part.pretokenizers, "pretokenizers").map((inner) =>
          isJson(inner) ? mendPreTokenizer(file, inner) : fail(file, "a pre-tokenizer is not an object")
        )
      }
    case "ByteLevel":
      return part.use_regex === false ? part : cutWords(part)
    case "Whitespace":
      return { type: "Split", pattern: { Regex: `[${LETTERS}]+|[^${LETTERS}\\s]+` }, behavior: "Removed", invert: true }
    case "WhitespaceSplit":
      return WITHOUT_SPACES
    case "BertPreTokenizer":
      return { type: "Sequence", pretokenizers: [WITHOUT_SPACES, isolate(PUNCTUATION)] }
    case "Digits":
      return isolate(part.individual_digits === true ? "\\p{N}" : "\\p{N}+")
    case "Punctuation":
      return mendSplit(file, { ...part, type: "Split", pattern: { Regex: PUNCTUATION } })
    case "Split":
      return mendSplit(file, part)
    default:
      return part
  }
}

const WITHOUT_SPACES: Json = { type: "Split", pattern: { Regex: "\\s+" }, behavior: "Removed", invert: false }

/** The prefix comes before the cutting, so it cannot be left to the part itself. */
const cutWords = (part: Json): Json => {
  const prefix = { type: "Metaspace", replacement: " ", prepend_scheme: "always" }
  const bytes = { ...part, add_prefix_space: false, use_regex: false }
  const steps = [isolate(WORDS), bytes]
  return { type: "Sequence", pretokenizers: part.add_prefix_space === false ? steps : [prefix, ...steps] }
}

/** A pre-tokenizer that cuts around each match and keeps everything. */
export const isolate = (regex: string): Json => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false
})

const mendSplit = (file: string, part: Json): Json => {
  const pattern = isJson(part.pattern) ? part.pattern : {}
  const regex =
    typeof pattern.Regex === "string"
      ? pattern.Regex
      : typeof pattern.String === "string"
        ? pattern.String.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
        : fail(file, "a Split has neither a Regex nor a String")
  const behavior = part.behavior ?? "Isolated"
  // isolating all that does not match cuts at the same places
  if (behavior === "Isolated") return isolate(regex)
  if (behavior === "Removed") {
    return { type: "Split", pattern: { Regex: regex }, behavior, invert: part.invert === true }
  }
  if (part.invert === true)
    return fail(file, `a Split is inverted and of behavior "${behavior}", which is not supported`)
  const other = `(?:(?!${regex})[\\s\\S])`
  if (behavior === "Contiguous") return isolate(`(?:${regex})+`)
  if (behavior === "MergedWithPrevious") return isolate(`${other}*(?:${regex})|${other}+`)
  if (behavior === "MergedWithNext") return isolate(`(?:${regex})${other}*|${other}+`)
  return fail(file, `a Split has the unknown behavior "${behavior}"`)
}

/** The ids that the post-processor puts around one text. Throws `TokenizerError`. */
export const readAffixes = (file: string, part: Json | null): Affixes => {
  switch (part?.type) {
    case undefined:
    case "ByteLevel":
      return { before: [], after: [] }
    case "TemplateProcessing":
      return readTemplate(file, part ?? {})
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [pairId(file, part?.cls)], after: [pairId(file, part?.sep)] }
    case "Sequence":
      return list(file, part?.processors, "processors").reduce<Affixes>(
        (inner, processor) => {
          const outer = readAffixes(
            file,
            isJson(processor) ? processor : fail(file, "a post-processor is not an object")
          )
          return { before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] }
        },
        { before: [], after: [] }
      )
    default:
      return fail(file, `the post-processor "${String(part?.type)}" is not supported`)
  }
}

const readTemplate = (file: string, part: Json): Affixes => {
  const before: Array<number> = []
  const after: Array<number> = []
  let target = before
  for (const item of list(file, part.single, "single")) {
    if (isJson(item) && isJson(item.SpecialToken)) {
      const token = isJson(part.special_tokens) ? part.special_tokens[String(item.SpecialToken.id)] : undefined
      const ids = isJson(token)
        ? list(file, token.ids, "ids")
        : fail(file, "the template names an unknown special token")
      for (const id of ids) target.push(isId(id) ? id : fail(file, "the template has an id that is not an integer"))
    } else {
      target = after
    }
  }
  return { before, after }
}

const pairId = (file: string, pair: unknown): number =>
  Array.isArray(pair) && isId(pair[1]) ? pair[1] : fail(file, "the post-processor has no token and id")

const list = (file: string, value: unknown, field: string): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : fail(file, `"${field}" is not a list`)
