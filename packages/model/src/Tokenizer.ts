/**
 * The contract of a tokenizer with its chat template. Made by `tokenizerFromFolder`, `tokenizerFromGguf` and `tokenizerFromJson`.
 * @module
 */

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | (string & {})
  readonly content: string
}

/** Turns ids into text as they come: holds back bytes of an unfinished character. */
export interface TextStream {
  /** Text that became certain with this id: often `""` inside a character of several tokens. */
  readonly push: (id: number) => string
  /** What was held back (an unfinished character becomes U+FFFD). The stream is then at its start again. */
  readonly end: () => string
}

/** Options of `encode`. */
export interface EncodeOptions {
  /**
   * Apply the model's own rule for BOS (and EOS). Give `false` for the text of a chat: templates write BOS themselves.
   * @default true
   */
  readonly special?: boolean
}

/** Options of `decode` and `stream`. */
export interface DecodeOptions {
  /**
   * Keep special tokens in the text.
   * @default false
   */
  readonly special?: boolean
}

/** Options of `chat`. */
export interface ChatOptions {
  /**
   * End with the header of the assistant's turn, so that the model answers.
   * @default true
   */
  readonly addGenerationPrompt?: boolean
}

/** Text to ids and back. Immutable, safe to share; a `TextStream` belongs to one generation. */
export interface Tokenizer {
  /**
   * Text -> ids. Text that spells a special token becomes that token: do not pass text that must not command the model.
   * O(bytes); 100 kB of prose take about 0.2 s.
   */
  readonly encode: (text: string, options?: EncodeOptions) => ReadonlyArray<number>
  /** Ids -> text. Ids without a token (padding of the vocabulary) give no text. */
  readonly decode: (ids: ReadonlyArray<number>, options?: DecodeOptions) => string
  /** The pieces of `push`, joined, then `end()` are exactly `decode` of the same ids. */
  readonly stream: (options?: DecodeOptions) => TextStream
  /** Renders a chat to text with the model's template. Throws `TemplateError`, also if the model has no template. */
  readonly chat: (messages: ReadonlyArray<ChatMessage>, options?: ChatOptions) => string
  readonly hasChatTemplate: boolean
  readonly bos: number | undefined
  /** Ids that end a generation (from generation config, tokenizer and GGUF metadata), ascending. May be empty. */
  readonly eos: ReadonlyArray<number>
}
