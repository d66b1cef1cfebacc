/**
 * Typed access to the fields of a configuration that was written by somebody else.
 * @module
 */
import { ConfigurationError, Unsupported } from "./ModelError.ts"

/** Named values of unknown shape. Absent and `null` are the same. Every method throws `ConfigurationError`. */
export class Fields {
  /** The file, for errors. */
  readonly file: string
  readonly #get: (key: string) => unknown
  readonly #prefix: string

  /** `prefix` is put before keys in errors. */
  constructor(file: string, get: (key: string) => unknown, prefix = "") {
    this.file = file
    this.#get = get
    this.#prefix = prefix
  }

  /** The fields of an object. */
  static of(file: string, record: object, prefix = ""): Fields {
    const entries = new Map<string, unknown>(Object.entries(record))
    return new Fields(file, (key) => entries.get(key), prefix)
  }

  /** The value itself; undefined if it is absent or `null`. */
  get(key: string): unknown {
    return this.#get(key) ?? undefined
  }

  /** Whether there is a value. */
  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** An error about a field: "Field ... of ... <detail>". */
  fail(key: string, detail: string): ConfigurationError {
    return new ConfigurationError({ file: this.file, field: this.#prefix + key, detail })
  }

  /** A finite number, or undefined. */
  number(key: string): number | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.fail(key, `is ${show(value)}, not a number`)
    return value
  }

  /** A positive finite number, or undefined. */
  positive(key: string): number | undefined {
    const value = this.number(key)
    if (value !== undefined && value <= 0) throw this.fail(key, `is ${value}, not a positive number`)
    return value
  }

  /** An integer of 1 to `limit`, or undefined. */
  size(key: string, limit: number): number | undefined {
    const value = this.number(key)
    if (value === undefined) return undefined
    if (!Number.isInteger(value) || value < 1 || value > limit) {
      throw this.fail(key, `is ${value}, not an integer from 1 to ${limit}`)
    }
    return value
  }

  /** True, false or undefined. */
  boolean(key: string): boolean | undefined {
    const value = this.get(key)
    if (value === undefined || typeof value === "boolean") return value
    throw this.fail(key, `is ${show(value)}, not true or false`)
  }

  /** A string, or undefined. */
  string(key: string): string | undefined {
    const value = this.get(key)
    if (value === undefined || typeof value === "string") return value
    throw this.fail(key, `is ${show(value)}, not a string`)
  }

  /** A nested object, or undefined. */
  record(key: string): Fields | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.fail(key, `is ${show(value)}, not an object`)
    }
    return Fields.of(this.file, value, `${this.#prefix}${key}.`)
  }

  /** An array of strings, or undefined. */
  strings(key: string): ReadonlyArray<string> | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === "string")) {
      throw this.fail(key, `is ${show(value)}, not a list of strings`)
    }
    return value
  }

  /** An array of finite numbers, or undefined. */
  numbers(key: string): ReadonlyArray<number> | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((item): item is number => Number.isFinite(item))) {
      throw this.fail(key, `is ${show(value)}, not a list of numbers`)
    }
    return value
  }

  /** Throws `Unsupported` unless the field is absent or one of `values`: no graph computes anything else. */
  only(key: string, ...values: ReadonlyArray<string | number | boolean>): void {
    const value = this.get(key)
    if (value === undefined || values.some((accepted) => accepted === value)) return
    throw new Unsupported({
      feature: `Field "${this.#prefix}${key}" of "${this.file}" as ${show(value)}`,
      detail: `it must be ${values.map(show).join(" or ")}`
    })
  }

  /** `value`, which was read from `key` and must be present. */
  need<A>(key: string, value: A | undefined): A {
    if (value === undefined) throw this.fail(key, "is missing")
    return value
  }
}

const show = (value: unknown): string => {
  const text = typeof value === "bigint" ? `${value}` : (JSON.stringify(value) ?? typeof value)
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
