/**
 * JSON from a file that a user wrote.
 * @module
 */
import { readFile, stat } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { CommandFailed } from "./output.ts"

/** Larger files are refused, in bytes. */
const MOST_BYTES = 64e6

/** Reads `file` and gives its value to `parse`, whose error is said with the file's name. */
export const readJson = <A>(file: string, parse: (value: unknown) => A): Effect.Effect<A, CommandFailed> =>
  Effect.tryPromise({
    try: async () => {
      const { size } = await stat(file)
      if (size > MOST_BYTES) throw new RangeError(`is larger than ${MOST_BYTES} bytes`)
      return parse(JSON.parse(await readFile(file, "utf8")))
    },
    catch: (cause) =>
      new CommandFailed({ detail: `${file}: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
