/**
 * The tokenizer of a GGUF file as the files of a folder in Hugging Face layout.
 * @module
 */
import { chatTemplateSource } from "../chat.ts"
import { mergedLayout } from "./gguf.ts"
import { readGgufVocabulary, type TokenizerMetadata } from "./ggufVocabulary.ts"

/**
 * The contents of `tokenizer.json` and `tokenizer_config.json`, by name; undefined for a vocabulary that is not byte-level
 * BPE, whose form is another. Throws `TokenizerError`.
 */
export const tokenizerFilesOfGguf = (
  file: string,
  metadata: TokenizerMetadata
): Readonly<Record<string, object>> | undefined => {
  const vocabulary = readGgufVocabulary(file, metadata)
  if (vocabulary.model === "llama") return undefined
  const { layout, addBos } = mergedLayout(vocabulary)
  const token = (name: string): string | undefined => {
    const id = vocabulary.id(name)
    return id === undefined ? undefined : vocabulary.tokens[id]
  }
  const tokens = {
    bos_token: token("bos_token_id"),
    eos_token: token("eos_token_id"),
    unk_token: token("unknown_token_id"),
    pad_token: token("padding_token_id")
  }
  const template = chatTemplateSource(metadata.get("tokenizer.chat_template"))
  return {
    "tokenizer.json": {
      version: "1.0",
      truncation: null,
      padding: null,
      ...layout,
      added_tokens: layout.added_tokens.map((added) => ({
        ...added,
        single_word: false,
        lstrip: false,
        rstrip: false
      })),
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false }
    },
    "tokenizer_config.json": {
      ...tokens,
      add_bos_token: vocabulary.flag("add_bos_token") ?? addBos,
      add_eos_token: vocabulary.flag("add_eos_token") ?? false,
      ...(template === undefined ? {} : { chat_template: template }),
      tokenizer_class: "PreTrainedTokenizerFast"
    }
  }
}
