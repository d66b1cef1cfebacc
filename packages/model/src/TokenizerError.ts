/**
 * What can go wrong with tokenizers and chat templates.
 * @module
 */
import * as Data from "effect/Data"

/** The tokenizer is missing, malformed, or of a kind that cannot be run exactly. *Never*: another file is needed. */
export class TokenizerError extends Data.TaggedError("TokenizerError")<{
  /** The file or folder it was read from. */
  readonly file: string
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot load the tokenizer of "${this.file}": ${this.detail}`
  }
}

/**
 * The chat cannot be rendered.
 * - `missing`: the model has no template; it is not made for chats. Use plain text.
 * - `invalid`: the template is not a template this engine can run.
 * - `refused`: the template itself objects to the messages, for instance to their order. Change the messages.
 */
export class TemplateError extends Data.TaggedError("TemplateError")<{
  readonly file: string
  readonly reason: "missing" | "invalid" | "refused"
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot render a chat with the template of "${this.file}": ${this.detail}`
  }
}
