/**
 * Chat templates: Jinja texts that turn messages into the prompt a model was trained on.
 * @see https://huggingface.co/docs/transformers/chat_templating
 * @module
 */
import { Environment, Interpreter, Template } from "@huggingface/jinja"
import type { ChatMessage, ChatOptions } from "./Tokenizer.ts"
import { TemplateError } from "./TokenizerError.ts"

/** Renders messages. Throws `TemplateError`. */
export type ChatTemplate = (messages: ReadonlyArray<ChatMessage>, options?: ChatOptions) => string

/** What a template may refer to besides the messages. */
export interface ChatVariables {
  readonly bos_token?: string | undefined
  readonly eos_token?: string | undefined
  /** Any other special token, by its name in the tokenizer's configuration. */
  readonly [name: string]: unknown
}

/**
 * Prepares a template. It is compiled at the first use, so that a broken one stops chats only.
 *
 * @example Render a chat
 * ```ts
 * import { chatTemplate } from "@swarm/model"
 *
 * const render = chatTemplate("example", "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}", {
 *   eos_token: "</s>"
 * })
 * render([{ role: "user", content: "Hi" }]) // "<user>Hi</s>"
 * ```
 */
export const chatTemplate = (file: string, source: string, variables: ChatVariables): ChatTemplate => {
  let compiled: Template | undefined
  const globals: Readonly<Record<string, unknown>> = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    range,
    raise_exception: (detail: unknown) => {
      throw new TemplateError({ file, reason: "refused", detail: String(detail) })
    },
    strftime_now: (format: unknown) => strftime(new Date(), String(format))
  }
  return (messages, options) => {
    try {
      compiled ??= new Template(source)
      const scope = new Environment()
      // templates are written against transformers, where tools and documents are always defined
      for (const [name, value] of Object.entries({
        ...variables,
        ...globals,
        messages,
        tools: null,
        documents: null,
        add_generation_prompt: options?.addGenerationPrompt ?? true
      })) {
        scope.set(name, value)
      }
      const text: unknown = new Interpreter(scope).run(compiled.parsed).value
      return String(text)
    } catch (cause) {
      if (cause instanceof TemplateError) throw cause
      const detail = cause instanceof Error ? cause.message : String(cause)
      throw new TemplateError({ file, reason: "invalid", detail, cause })
    }
  }
}

/** A template comes with the model, so from a stranger; this many turns of a loop are more than any needs. */
const MAX_RANGE = 100_000

/** Python's `range`. */
const range = (first: number, last?: number, step = 1): ReadonlyArray<number> => {
  const [start, stop] = last === undefined ? [0, first] : [first, last]
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (!(length <= MAX_RANGE)) throw new RangeError(`A range must have at most ${MAX_RANGE} numbers: it has ${length}`)
  return Array.from({ length }, (_, i) => start + i * step)
}

/**
 * The template text of a `chat_template` field: a string, or a list of `{ name, template }` of which `default` is for
 * chats. Undefined if there is none.
 */
export const chatTemplateSource = (field: unknown): string | undefined => {
  if (typeof field === "string") return field
  if (!Array.isArray(field)) return undefined
  const named = field.filter(
    (item): item is { readonly name: unknown; readonly template: string } => typeof item?.template === "string"
  )
  return (named.find((item) => item.name === "default") ?? named[0])?.template
}

const two = (n: number): string => String(n).padStart(2, "0")

/** Directives of Python's strftime that templates use, always in English. Unknown ones stay as they are. */
export const strftime = (date: Date, format: string): string => {
  const name = (options: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat("en-US", options).format(date)
  const dayOfYear = (): number =>
    Math.round((new Date(date).setHours(12, 0, 0, 0) - new Date(date.getFullYear(), 0, 1, 12).getTime()) / 86_400_000) +
    1
  const directives: Readonly<Record<string, () => string>> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    e: () => String(date.getDate()).padStart(2, " "),
    j: () => String(dayOfYear()).padStart(3, "0"),
    B: () => name({ month: "long" }),
    b: () => name({ month: "short" }),
    A: () => name({ weekday: "long" }),
    a: () => name({ weekday: "short" }),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    p: () => (date.getHours() < 12 ? "AM" : "PM"),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    "%": () => "%"
  }
  return format.replace(/%([A-Za-z%])/g, (whole, letter: string) => directives[letter]?.() ?? whole)
}
