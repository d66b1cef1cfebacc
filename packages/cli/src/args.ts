/**
 * Command line: what a command takes, how it is read, how it is explained. Parsing itself is Node's `parseArgs`.
 * @module
 */
import { parseArgs } from "node:util"

/** Wrong usage: said in one sentence, exit code 2. */
export class UsageError extends Error {
  readonly _tag = "UsageError"
}

type Kind = "text" | "number" | "bytes" | "flag" | "texts"

/** One option. */
export interface Option<K extends Kind = Kind> {
  readonly kind: K
  readonly help: string
  /** What stands for the value in help. */
  readonly value?: string
  readonly short?: string
  readonly choices?: ReadonlyArray<string>
  /** Smallest number that is allowed. */
  readonly least?: number
  readonly greatest?: number
  readonly whole?: boolean
  /** Not shown in help. */
  readonly hidden?: boolean
}

type ValueOf<O> =
  O extends Option<"flag">
    ? boolean
    : O extends Option<"texts">
      ? ReadonlyArray<string>
      : O extends Option<"number" | "bytes">
        ? number | undefined
        : string | undefined

/** Values by option name. Flags default to false, repeatable options to none. */
type Values<O extends Record<string, Option>> = { readonly [N in keyof O]: ValueOf<O[N]> }

/** What a command takes. */
export interface Spec<O extends Record<string, Option> = Record<string, Option>> {
  readonly name: string
  readonly summary: string
  /** Name of the positional argument, if there is one; it is required. */
  readonly positional?: string
  readonly options: O
  /** More for the command's own help. */
  readonly notes?: ReadonlyArray<string>
}

export interface Parsed<O extends Record<string, Option>> {
  readonly values: Values<O>
  readonly positional: string
  readonly help: boolean
}

export const text = (help: string, more: Omit<Option<"text">, "kind" | "help"> = {}): Option<"text"> => ({
  kind: "text",
  help,
  ...more
})
export const texts = (help: string, more: Omit<Option<"texts">, "kind" | "help"> = {}): Option<"texts"> => ({
  kind: "texts",
  help,
  ...more
})
export const flag = (help: string, more: Omit<Option<"flag">, "kind" | "help"> = {}): Option<"flag"> => ({
  kind: "flag",
  help,
  ...more
})
export const number = (help: string, more: Omit<Option<"number">, "kind" | "help"> = {}): Option<"number"> => ({
  kind: "number",
  help,
  value: "N",
  ...more
})
/** A whole number, at least 1 unless told. */
export const count = (help: string, more: Omit<Option<"number">, "kind" | "help"> = {}): Option<"number"> =>
  number(help, { whole: true, least: 1, ...more })

/** A number of bytes such as "512MB", "2GiB" or "4096". */
export const bytes = (help: string, more: Omit<Option<"bytes">, "kind" | "help"> = {}): Option<"bytes"> => ({
  kind: "bytes",
  help,
  value: "SIZE",
  ...more
})

/** Reads `argv` (without the command's name). Throws `UsageError`. */
export const parse = <O extends Record<string, Option>>(spec: Spec<O>, argv: ReadonlyArray<string>): Parsed<O> => {
  const options: Record<string, { type: "string" | "boolean"; multiple?: boolean; short?: string }> = {
    help: { type: "boolean", short: "h" }
  }
  for (const [name, { kind, short }] of Object.entries(spec.options)) {
    options[name] = {
      type: kind === "flag" ? "boolean" : "string",
      multiple: kind === "texts",
      ...(short === undefined ? {} : { short })
    }
  }
  const { values, positionals } = attempt(() =>
    parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  )
  const help = values.help === true
  const [positional = "", ...rest] = positionals
  if (!help && spec.positional !== undefined && positional === "")
    throw new UsageError(`${spec.positional} is missing: swarm ${spec.name} ${spec.positional}`)
  const surplus = spec.positional === undefined ? positionals : rest
  if (surplus.length > 0) throw new UsageError(`"${surplus[0]}" is one argument too many`)
  const read = Object.fromEntries(
    Object.entries(spec.options).map(([name, option]) => [name, value(name, option, values[name])])
  )
  return { values: read as Values<O>, positional, help }
}

const attempt = <A>(run: () => A): A => {
  try {
    return run()
  } catch (cause) {
    // Node adds advice in further sentences and lines
    const [sentence = ""] = (cause instanceof Error ? cause.message : String(cause)).split(/\.\s+(?=[A-Z])/)
    const ambiguous = /^Option '(?:-\w, )?--([\w-]+)' argument is ambiguous/.exec(sentence)?.[1]
    throw new UsageError(
      ambiguous === undefined
        ? sentence.replace(/^./, (first) => first.toLowerCase())
        : `--${ambiguous} needs a value; one that begins with a dash is written --${ambiguous}=-VALUE`
    )
  }
}

const value = (
  name: string,
  option: Option,
  given: unknown
): boolean | number | string | ReadonlyArray<string> | undefined => {
  if (option.kind === "flag") return given === true
  if (option.kind === "texts") return Array.isArray(given) ? given.map(String) : []
  if (given === undefined) return undefined
  const said = String(given)
  if (option.choices !== undefined && !option.choices.includes(said))
    throw new UsageError(`--${name} must be one of ${option.choices.join(", ")}: got "${said}"`)
  if (option.kind === "text") return said
  if (option.kind === "bytes") return bytesOf(name, said)
  const parsed = said.trim() === "" ? Number.NaN : Number(said)
  const { least = Number.NEGATIVE_INFINITY, greatest = Number.POSITIVE_INFINITY, whole = false } = option
  if (!Number.isFinite(parsed) || parsed < least || parsed > greatest || (whole && !Number.isInteger(parsed))) {
    const range =
      greatest === Number.POSITIVE_INFINITY
        ? least === Number.NEGATIVE_INFINITY
          ? ""
          : ` of at least ${least}`
        : ` from ${least} to ${greatest}`
    throw new UsageError(`--${name} must be a ${whole ? "whole " : ""}number${range}: got "${said}"`)
  }
  return parsed
}

const WIDTH = 80

/** Words of `sentence` in lines that fit beside an indent. */
const wrap = (sentence: string, indent: number): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of sentence.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH - indent) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`)
}

/** Help of one command. */
export const helpOf = (spec: Spec): string => {
  const rows = Object.entries(spec.options)
    .filter(([, option]) => option.hidden !== true)
    .map(([name, option]) => {
      const placeholder = option.kind === "flag" ? "" : ` ${option.value ?? option.choices?.join("|") ?? "TEXT"}`
      return [`${option.short === undefined ? "" : `-${option.short}, `}--${name}${placeholder}`, option.help] as const
    })
  const indent = 6
  const usage = `swarm ${spec.name}${spec.positional === undefined ? "" : ` ${spec.positional}`} [options]`
  return [
    `${spec.summary}\n`,
    `usage: ${usage}\n`,
    ...rows.map(([left, help]) => `  ${left}\n${" ".repeat(indent)}${wrap(help, indent)}`),
    ...(spec.notes ?? []).map((note) => `\n${wrap(note, 0)}`)
  ].join("\n")
}

const bytesOf = (name: string, said: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$/i.exec(said.trim())
  if (match === null) throw new UsageError(`--${name} must be a size such as 512MB or 2GiB: got "${said}"`)
  const power = " kmgt".indexOf((match[2] ?? "").toLowerCase() || " ")
  return Math.round(Number(match[1]) * (match[3] === "" ? 1000 : 1024) ** power)
}
