/**
 * Puts the parts of a tokenizer together; what all sources have in common.
 * @module
 */
import type { ChatTemplate } from "../chat.ts"
import type { Tokenizer } from "../Tokenizer.ts"
import { TemplateError } from "../TokenizerError.ts"
import type { Affixes } from "./layout.ts"
import { makeTextStream, type Spelling } from "./pieces.ts"

/** What a loader must find out. */
export interface TokenizerParts {
  readonly file: string
  /** Text -> fresh ids, without BOS and EOS. */
  readonly split: (text: string) => Array<number>
  readonly affixes: Affixes
  readonly token: (id: number) => string | undefined
  /** Ids that are not text. */
  readonly special: ReadonlySet<number>
  readonly spelling: Spelling
  readonly bos: number | undefined
  readonly eos: ReadonlySet<number>
  readonly template: ChatTemplate | undefined
}

/** A tokenizer of its parts. */
export const assemble = (parts: TokenizerParts): Tokenizer => {
  const { affixes, special, template } = parts
  const stream: Tokenizer["stream"] = (options) => {
    const visible =
      options?.special === true ? parts.token : (id: number) => (special.has(id) ? undefined : parts.token(id))
    return makeTextStream(parts.spelling, visible)
  }
  return {
    encode: (text, options) => {
      const ids = parts.split(text)
      return options?.special === false ? ids : [...affixes.before, ...ids, ...affixes.after]
    },
    decode: (ids, options) => {
      const text = stream(options)
      return ids.map(text.push).join("") + text.end()
    },
    stream,
    chat: (messages, options) => {
      if (template === undefined) {
        throw new TemplateError({ file: parts.file, reason: "missing", detail: "the model has no chat template" })
      }
      return template(messages, options)
    },
    hasChatTemplate: template !== undefined,
    bos: parts.bos,
    eos: [...parts.eos].sort((a, b) => a - b)
  }
}

/** BOS and EOS put around texts, or left away, as a configuration demands; undefined leaves the rule as it is. */
export const forceAffixes = (
  rule: Affixes,
  bos: { readonly id: number | undefined; readonly add: boolean | undefined },
  eos: { readonly id: number | undefined; readonly add: boolean | undefined }
): Affixes => ({
  before: force(rule.before, bos, (id, rest) => [id, ...rest]),
  after: force(rule.after, eos, (id, rest) => [...rest, id])
})

const force = (
  ids: ReadonlyArray<number>,
  token: { readonly id: number | undefined; readonly add: boolean | undefined },
  join: (id: number, rest: ReadonlyArray<number>) => ReadonlyArray<number>
): ReadonlyArray<number> => {
  const { add, id } = token
  if (add === undefined || id === undefined || ids.includes(id) === add) return ids
  return add ? join(id, ids) : ids.filter((other) => other !== id)
}
