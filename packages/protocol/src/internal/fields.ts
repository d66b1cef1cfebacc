/**
 * Readers of one field each: the value if it is of the right type and range, else a {@link ProtocolError} that names it.
 * @module
 */
import { MAX_BLOCKS, MAX_SECONDS, MAX_STRING, MAX_TOKENS } from "../Limits.ts"
import type { BlockRange } from "../Message.ts"
import { ProtocolError } from "../ProtocolError.ts"

/** A received map. Only named fields are read, and no name is one of `Object.prototype`. */
export type Fields = { readonly [name: string]: unknown }

const MAX_COUNT = 2 ** 32 - 1
const MAX_RATE = 1e12

const wrong = (name: string, expected: string, value: unknown): ProtocolError =>
  new ProtocolError("body", `"${name}" must be ${expected}: got ${show(value)}`)

const show = (value: unknown): string => {
  if (typeof value === "string") return value.length > 40 ? `a string of ${value.length}` : JSON.stringify(value)
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? `an array of ${value.length}` : "a map"
  return String(value)
}

/** The map `value`; `name` for the error. */
export const fields = (value: unknown, name: string): Fields => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(name, "a map", value)
  return value as Fields
}

/** Whether the field is there; nil is absence. */
export const has = (f: Fields, name: string): boolean => f[name] !== undefined && f[name] !== null

/** A string of at most {@link MAX_STRING}. */
export const text = (f: Fields, name: string): string => {
  const value = f[name]
  if (typeof value !== "string" || value.length > MAX_STRING)
    throw wrong(name, `a string of at most ${MAX_STRING}`, value)
  return value
}

/** A string that is not empty: ids, addresses. */
export const id = (f: Fields, name: string): string => {
  const value = text(f, name)
  if (value.length === 0) throw wrong(name, "a string that is not empty", value)
  return value
}

/** A string of any length, cut to `most`. */
export const cutText = (f: Fields, name: string, most: number): string => {
  const value = f[name]
  if (typeof value !== "string") throw wrong(name, "a string", value)
  return value.length > most ? value.slice(0, most) : value
}

/** An integer of [0, most]. */
export const count = (f: Fields, name: string, most: number = MAX_COUNT): number => {
  const value = f[name]
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > most) {
    throw wrong(name, `an integer of 0 to ${most}`, value)
  }
  return value
}

/** A position or number of tokens that may be 0. */
export const tokens = (f: Fields, name: string): number => count(f, name, MAX_TOKENS)

/** A number of tokens, at least 1. */
export const someTokens = (f: Fields, name: string): number => {
  const value = count(f, name, MAX_TOKENS)
  if (value === 0) throw wrong(name, "at least 1", value)
  return value
}

/** A finite number of [0, most]. */
export const real = (f: Fields, name: string, most: number): number => {
  const value = f[name]
  if (typeof value !== "number" || !(value >= 0 && value <= most)) throw wrong(name, `a number of 0 to ${most}`, value)
  return value
}

/** Tokens per second. */
export const rate = (f: Fields, name: string): number => real(f, name, MAX_RATE)

/** A duration in seconds. */
export const seconds = (f: Fields, name: string): number => real(f, name, MAX_SECONDS)

/** True or false. */
export const flag = (f: Fields, name: string): boolean => {
  const value = f[name]
  if (typeof value !== "boolean") throw wrong(name, "true or false", value)
  return value
}

/** One of `words`. */
export const word = <W extends string>(f: Fields, name: string, words: ReadonlyArray<W>): W => {
  const value = f[name]
  for (const candidate of words) if (candidate === value) return candidate
  throw wrong(name, `one of ${words.join(", ")}`, value)
}

/** An array of at most `most` elements, each read by `read`. */
export const list = <A>(f: Fields, name: string, most: number, read: (value: unknown) => A): ReadonlyArray<A> => {
  const value = f[name]
  if (!Array.isArray(value) || value.length > most) throw wrong(name, `an array of at most ${most}`, value)
  return value.map((element) => read(element))
}

/** A map of counts by name, at most 32. */
export const counts = (f: Fields, name: string): Readonly<Record<string, number>> => {
  const entries = Object.keys(fields(f[name], name))
  if (entries.length > 32) throw wrong(name, "a map of at most 32", f[name])
  const map = fields(f[name], name)
  return Object.fromEntries(entries.map((key) => [key, count(map, key)]))
}

/** Bytes, `least` to `most` of them: a view of the frame. */
export const bytes = (f: Fields, name: string, most: number, least = 0): Uint8Array => {
  const value = f[name]
  if (!(value instanceof Uint8Array) || value.length < least || value.length > most) {
    throw wrong(name, least === most ? `${most} bytes` : `at most ${most} bytes`, value)
  }
  return new Uint8Array(value.buffer, value.byteOffset, value.length)
}

/** A run of blocks: 0 <= from < to <= {@link MAX_BLOCKS}. */
export const blocks = (f: Fields, name: string): BlockRange => {
  const range = fields(f[name], name)
  const from = count(range, "from", MAX_BLOCKS)
  const to = count(range, "to", MAX_BLOCKS)
  if (from >= to) throw new ProtocolError("body", `"${name}" must not be empty: got ${from}:${to}`)
  return { from, to }
}
