/**
 * JSON of unknown origin: size-limited, UTF-8, no key twice.
 * @module
 */

/** A JSON object whose fields are still unchecked. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Whether `value` is an object, not an array and not null. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The first key that occurs twice in one object of valid JSON `text`. `JSON.parse` keeps the last and says nothing, so two
 * readers can see two files.
 */
const findDuplicateKey = (text: string): string | undefined => {
  const open: Array<Set<string> | undefined> = []
  const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs
  for (const match of text.matchAll(token)) {
    const [word, colon] = match
    if (word === "{") open.push(new Set())
    else if (word === "[") open.push(undefined)
    else if (word === "}" || word === "]") open.pop()
    else if (colon !== undefined) {
      const key: string = JSON.parse(word.slice(0, -colon.length))
      const keys = open.at(-1)
      if (keys?.has(key) === true) return key
      keys?.add(key)
    }
  }
  return undefined
}

/** Parses `bytes` as one JSON object. Throws `Error` with the reason. */
export const parseObject = (bytes: Uint8Array): JsonObject => {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) throw new Error("not a JSON object")
  const duplicate = findDuplicateKey(text)
  if (duplicate !== undefined) throw new Error(`the key "${duplicate}" occurs twice`)
  return value
}
