/**
 * A tokenizer from the metadata of a GGUF file.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer
 * @module
 */
import { chatTemplate, chatTemplateSource } from "../chat.ts"
import type { Tokenizer } from "../Tokenizer.ts"
import { TokenizerError } from "../TokenizerError.ts"
import { assemble, forceAffixes, type TokenizerParts } from "./assemble.ts"
import { type GgufVocabulary, readGgufVocabulary, type TokenizerMetadata, TokenType } from "./ggufVocabulary.ts"
import { tokenizerSplitter } from "./json.ts"
import { isolate, type Json } from "./layout.ts"
import { byteLevel, sentencePiece } from "./pieces.ts"
import { preTokenizers } from "./preTokenizers.ts"
import { encodeScored, type ScoredVocabulary } from "./scoredMerges.ts"

/** What differs between the kinds of vocabulary. */
type Kind = Pick<TokenizerParts, "split" | "spelling"> & { readonly addBos: boolean }

/**
 * Makes a tokenizer of `tokenizer.ggml.*` and `tokenizer.chat_template`. Models `gpt2` (byte-level BPE, cut as
 * `tokenizer.ggml.pre` says) and `llama` (SentencePiece BPE with scores). About 0.15 s for 50,000 tokens.
 * Throws `TokenizerError`.
 */
export const tokenizerFromGguf = (file: string, metadata: TokenizerMetadata): Tokenizer => {
  const vocabulary = readGgufVocabulary(file, metadata)
  const kind = vocabulary.model === "llama" ? scored(vocabulary) : merged(vocabulary)
  const { tokens } = vocabulary
  const bos = vocabulary.id("bos_token_id")
  const eos = vocabulary.id("eos_token_id")
  const ends = [eos, vocabulary.id("eot_token_id") ?? turnEnd(vocabulary), vocabulary.id("eom_token_id")]
  const text = (id: number | undefined): string | undefined => (id === undefined ? undefined : tokens[id])
  const source = chatTemplateSource(metadata.get("tokenizer.chat_template"))
  return assemble({
    file,
    split: kind.split,
    spelling: kind.spelling,
    affixes: forceAffixes(
      { before: [], after: [] },
      { id: bos, add: vocabulary.flag("add_bos_token") ?? kind.addBos },
      { id: eos, add: vocabulary.flag("add_eos_token") ?? false }
    ),
    token: (id) => tokens[id],
    special: new Set(vocabulary.idsOf(TokenType.control, TokenType.unknown)),
    bos,
    eos: new Set(ends.filter((id) => id !== undefined)),
    template:
      source === undefined
        ? undefined
        : chatTemplate(file, source, {
            bos_token: text(bos) ?? "",
            eos_token: text(eos) ?? "",
            unk_token: text(vocabulary.id("unknown_token_id")) ?? "",
            pad_token: text(vocabulary.id("padding_token_id")) ?? ""
          })
  })
}

/** Older files name no end of turn; a control token with one of these texts is one. */
const turnEnd = (vocabulary: GgufVocabulary): number | undefined =>
  vocabulary
    .idsOf(TokenType.control)
    .find((id) => ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>"].includes(vocabulary.tokens[id] ?? ""))

/** Byte-level BPE. */
const merged = (vocabulary: GgufVocabulary): Kind => {
  const { layout, addBos } = mergedLayout(vocabulary)
  return { split: tokenizerSplitter(vocabulary.file, layout), spelling: byteLevel, addBos }
}

/** The structure that the tokenizer.json of a model with byte-level BPE has. Throws `TokenizerError`. */
export const mergedLayout = (vocabulary: GgufVocabulary) => {
  const { file, tokens } = vocabulary
  const name = vocabulary.string("pre") ?? "default"
  const pre = preTokenizers.get(name)
  if (pre === undefined) {
    const known = [...preTokenizers.keys()].join(", ")
    throw new TokenizerError({ file, detail: `the pre-tokenizer "${name}" is not known, known are ${known}` })
  }
  const ids: Record<string, number> = Object.create(null)
  tokens.forEach((token, id) => {
    ids[token] ??= id
  })
  const special = new Set(vocabulary.idsOf(TokenType.control, TokenType.unknown))
  const added = vocabulary.idsOf(TokenType.control, TokenType.unknown, TokenType.userDefined)
  const bytes: Json = {
    type: "ByteLevel",
    add_prefix_space: vocabulary.flag("add_space_prefix") ?? false,
    use_regex: false
  }
  const layout = {
    model: { type: "BPE", vocab: ids, merges: vocabulary.merges(), ignore_merges: pre.ignoreMerges ?? false },
    normalizer: pre.normalize === undefined ? null : { type: pre.normalize },
    pre_tokenizer: { type: "Sequence", pretokenizers: [...pre.patterns.map(isolate), bytes] },
    post_processor: null,
    decoder: null,
    added_tokens: added
      .filter((id) => tokens[id] !== "")
      .map((id) => ({ id, content: tokens[id] ?? "", special: special.has(id), normalized: false }))
  }
  return { layout, addBos: pre.addBos ?? false }
}

/** SentencePiece BPE. */
const scored = (vocabulary: GgufVocabulary): Kind => {
  const { tokens } = vocabulary
  const prefix = vocabulary.flag("add_space_prefix") ?? true
  const notText = new Set(vocabulary.idsOf(TokenType.control, TokenType.unknown, TokenType.byte))
  const ids = new Map<string, number>()
  tokens.forEach((token, id) => {
    if (token !== "" && !notText.has(id) && !ids.has(token)) ids.set(token, id)
  })
  const pieces: ScoredVocabulary = {
    ids,
    scores: vocabulary.scores(),
    bytes: vocabulary.bytes(),
    unknown: vocabulary.id("unknown_token_id") ?? 0
  }
  const whole = new Map<string, number>()
  for (const id of vocabulary.idsOf(TokenType.control, TokenType.unknown, TokenType.userDefined)) {
    const token = tokens[id]
    if (token !== undefined && token !== "") whole.set(token, id)
  }
  const cut = alternatives([...whole.keys()])
  return {
    split: (text) => {
      const out: Array<number> = []
      for (const part of cut === undefined ? [text] : text.split(cut)) {
        const id = whole.get(part)
        if (id !== undefined) out.push(id)
        // each stretch of text gets the dummy space, also after a special token, as in llama.cpp
        else if (part !== "") encodeScored(pieces, (prefix ? ` ${part}` : part).replaceAll(" ", "\u2581"), out)
      }
      return out
    },
    spelling: sentencePiece({ mark: "\u2581", byteFallback: true, stripSpace: prefix }),
    addBos: true
  }
}

/** Matches any of the texts and keeps it when used to split; the longest wins. */
const alternatives = (texts: ReadonlyArray<string>): RegExp | undefined => {
  if (texts.length === 0) return undefined
  const longest = [...texts].sort((a, b) => b.length - a.length)
  return new RegExp(`(${longest.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "u")
}
