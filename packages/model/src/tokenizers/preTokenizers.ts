/**
 * The pre-tokenizers that `tokenizer.ggml.pre` names: regular expressions that cut a text one after the other.
 * @see https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp `llm_tokenizer_bpe` and the list of names in `load`;
 * where it adapts a model's own expression to its engine, the model's own one stands here
 * @module
 */

import { WORDS } from "./layout.ts"

/** How a byte-level vocabulary wants its text cut. */
export interface PreTokenizer {
  readonly patterns: ReadonlyArray<string>
  /** A pre-token that is in the vocabulary is taken whole, whatever the merges say. */
  readonly ignoreMerges?: boolean
  /** BOS is put in front unless the metadata says otherwise. */
  readonly addBos?: boolean
  /** Unicode form the text is brought to first, as the model's tokenizer.json does. */
  readonly normalize?: "NFC"
}

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

/** The expression of cl100k and its descendants; `digits` is how many digits stay together. */
const cl100k = (digits: string): string =>
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

/** The expression of o200k: words break where lower case turns to upper case; `suffix` may follow a word. */
const o200k = (digits: string, suffix: string): string => {
  const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
  const lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
  const lead = "[^\\r\\n\\p{L}\\p{N}]?"
  return `${lead}${upper}*${lower}+${suffix}|${lead}${upper}+${lower}*${suffix}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
}

const cjk = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
const cased =
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ" +
  "ℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"

const gpt2: PreTokenizer = { patterns: [WORDS] }
const digitwise: PreTokenizer = { patterns: ["\\p{N}", WORDS] }
const llama3: PreTokenizer = { patterns: [cl100k("\\p{N}{1,3}")], ignoreMerges: true, addBos: true }
const qwen2: PreTokenizer = { patterns: [cl100k("\\p{N}")], normalize: "NFC" }
const gpt4o: PreTokenizer = { patterns: [o200k("\\p{N}{1,3}", `${contractions}?`)] }

/** Name in `tokenizer.ggml.pre` -> pre-tokenizer. `default` is for files without a name. */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map<string, PreTokenizer>([
  ["default", { patterns: ["[\\p{P}$+<=>^~|]+", WORDS, "\\p{N}+", "[0-9][0-9][0-9]"] }],
  ["gpt-2", gpt2],
  ["phi-2", gpt2],
  ["mpt", gpt2],
  ["olmo", gpt2],
  ["exaone4", gpt2],
  ["smollm", digitwise],
  ["starcoder", digitwise],
  ["refact", digitwise],
  ["command-r", digitwise],
  ["codeshell", digitwise],
  ["falcon", { patterns: ["[\\p{P}$+<=>^~|`]+", WORDS, "[0-9][0-9][0-9]"] }],
  ["llama-bpe", llama3],
  ["llama3", llama3],
  ["llama-v3", llama3],
  ["falcon3", llama3],
  ["pixtral", llama3],
  ["lfm2", llama3],
  ["dbrx", { patterns: llama3.patterns }],
  ["smaug-bpe", { patterns: llama3.patterns }],
  ["glm4", { patterns: llama3.patterns }],
  ["chatglm-bpe", { patterns: llama3.patterns }],
  ["qwen2", qwen2],
  ["deepseek-r1-qwen", qwen2],
  ["megrez", qwen2],
  ["stablelm2", qwen2],
  ["hunyuan", { patterns: qwen2.patterns }],
  ["gpt-4o", gpt4o],
  ["llama4", gpt4o],
  ["tekken", { patterns: [o200k("\\p{N}", "")], ignoreMerges: true, addBos: true }],
  [
    "deepseek-llm",
    { patterns: ["[\\r\\n]", `\\s?[${cased}]+`, "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", "\\s+$", cjk, "\\p{N}+"] }
  ],
  ["deepseek-coder", { patterns: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", cjk, "\\p{N}"] }],
  [
    "deepseek-v3",
    {
      patterns: [
        "\\p{N}{1,3}",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
      ]
    }
  ]
])
