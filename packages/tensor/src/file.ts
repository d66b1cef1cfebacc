/**
 * Reading parts of files, with typed errors.
 * @module
 */
import * as fs from "node:fs"
import { FormatError } from "./FormatError.ts"

/** One `read` call takes at most this: the system's own limit is 2^31 - 4096, Node's 2^31 - 1. */
const CHUNK_BYTES = 2 ** 30

const failure = (file: string, cause: unknown, tensor?: string): FormatError =>
  cause instanceof FormatError
    ? cause
    : new FormatError({
        file,
        ...(tensor === undefined ? {} : { tensor }),
        detail: cause instanceof Error ? cause.message : String(cause),
        cause
      })

/**
 * Runs `use` with `file` open for reading, and its size in bytes; closes it afterwards. Whatever is thrown becomes a
 * {@link FormatError}, with `tensor` in it.
 */
export const withFile = <A>(file: string, use: (descriptor: number, size: number) => A, tensor?: string): A => {
  try {
    const descriptor = fs.openSync(file, "r")
    try {
      const stat = fs.fstatSync(descriptor)
      if (!stat.isFile()) throw new FormatError({ file, detail: "not a file" })
      return use(descriptor, stat.size)
    } finally {
      fs.closeSync(descriptor)
    }
  } catch (cause) {
    throw failure(file, cause, tensor)
  }
}

/** Fills `out`, of any length, from byte `position` of an open file. Throws `Error` where the file ends before. */
export const readAt = (descriptor: number, out: Uint8Array, position: number): void => {
  let done = 0
  while (done < out.length) {
    const count = fs.readSync(descriptor, out, done, Math.min(CHUNK_BYTES, out.length - done), position + done)
    if (count === 0) throw new Error(`the file ends at byte ${position + done}, ${out.length - done} bytes too early`)
    done += count
  }
}
