/**
 * What a command says: to people, or with --json to programs, one object a line.
 * @module
 */
import { stripVTControlCharacters } from "node:util"
import * as Data from "effect/Data"

/** A failure that is the user's to mend, in one sentence. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

export interface Output {
  readonly isJson: boolean
  /** A result. Programs get `event`; people get what `text` says, if anything. */
  readonly event: (event: { readonly event: string } & Record<string, unknown>, text?: string) => void
  /** Text as it comes, for people only. */
  readonly write: (text: string) => void
  /** How far long work has come. Programs get `event`; people a line on stderr, which on a terminal takes the place of the former. */
  readonly progress: (event: { readonly event: string } & Record<string, unknown>, line: string) => void
  /** A remark beside the result, on stderr. */
  readonly note: (text: string) => void
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
}

/** Whether `stream` shows colours. An empty NO_COLOR does not count, as https://no-color.org says. */
const showsColours = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb"

export const makeOutput = (isJson: boolean): Output => {
  const colours = !isJson && showsColours(process.stdout)
  const style = (code: number) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text)
  let isLineOpen = false
  const endLine = () => {
    if (isLineOpen) process.stderr.write("\r\u001b[K")
    isLineOpen = false
  }
  return {
    isJson,
    event: (event, text) => {
      endLine()
      if (isJson) process.stdout.write(`${JSON.stringify(event)}\n`)
      else if (text !== undefined) process.stdout.write(`${text}\n`)
    },
    write: (text) => {
      if (!isJson) process.stdout.write(text)
    },
    progress: (event, line) => {
      endLine()
      if (isJson) process.stdout.write(`${JSON.stringify(event)}\n`)
      else if (process.stderr.isTTY === true) {
        process.stderr.write(line)
        isLineOpen = true
      } else process.stderr.write(`${line}\n`)
    },
    note: (text) => {
      endLine()
      process.stderr.write(`${showsColours(process.stderr) ? text : stripVTControlCharacters(text)}\n`)
    },
    dim: style(2),
    bold: style(1),
    red: style(31),
    green: style(32)
  }
}

/** 1234567 as "1.2 MB". */
export const size = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`
}
