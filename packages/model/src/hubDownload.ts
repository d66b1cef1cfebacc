/**
 * One file over HTTP into the cache: resumable, checked, never half there under its final name.
 * @module
 */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { copyFile, mkdir, open, rename, rm, stat, symlink } from "node:fs/promises"
import { dirname, relative } from "node:path"
import { HubError } from "./HubError.ts"
import type { HubFile } from "./hubFiles.ts"

/** `fetch` that adds the token and fails with `HubError` for every status but success. */
export type HubFetch = (url: string, init?: RequestInit) => Promise<Response>

/** What to download, and where to. */
export interface Download {
  readonly reference: string
  readonly file: HubFile
  readonly url: string
  /** Path of the finished blob; `.incomplete` is appended until it is. */
  readonly blob: string
  readonly fetch: HubFetch
  readonly signal: AbortSignal
  /** A connection that is silent for so long is given up. */
  readonly idleMillis: number
  /** Bytes of the file on disk so far; may go back to 0 if the server cannot resume. */
  readonly onBytes: (bytes: number) => void
}

/** Size of a file, or undefined if there is none. */
export const sizeOf = async (path: string): Promise<number | undefined> => {
  try {
    return (await stat(path)).size
  } catch {
    return undefined
  }
}

/**
 * Makes the blob exist. A finished blob costs no request; a part goes on where it ends. Rejects with `HubError`; after
 * `offline` and `busy` the part stays, after `corrupt` it is removed. Two processes must not download one blob at once:
 * the checksum finds it, but one of them fails.
 */
export const downloadBlob = async (download: Download): Promise<void> => {
  const { blob, file, onBytes } = download
  try {
    if ((await sizeOf(blob)) !== file.bytes) {
      await mkdir(dirname(blob), { recursive: true })
      const part = `${blob}.incomplete`
      await fill(part, download)
      await check(part, download)
      await rename(part, blob)
    }
    onBytes(file.bytes)
  } catch (cause) {
    throw asHubError(download.reference, cause)
  }
}

const fill = async (part: string, { file, fetch, url, reference, signal, idleMillis, onBytes }: Download) => {
  let have = (await sizeOf(part)) ?? 0
  if (have > file.bytes) have = 0
  if (have === file.bytes && have > 0) return
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(new Error(`silent for ${idleMillis} ms`)), idleMillis)
  try {
    const response = await fetch(url, {
      headers: have > 0 ? { range: `bytes=${have}-` } : {},
      signal: AbortSignal.any([signal, silence.signal])
    })
    if (response.status !== 206) have = 0
    else if (!response.headers.get("content-range")?.startsWith(`bytes ${have}-`)) {
      throw new HubError({ reference, reason: "response", detail: `the server sends another part of "${file.path}"` })
    }
    const handle = await open(part, have > 0 ? "r+" : "w")
    try {
      onBytes(have)
      for await (const chunk of response.body ?? []) {
        timer.refresh()
        if (have + chunk.length > file.bytes) {
          throw new HubError({
            reference,
            reason: "response",
            detail: `"${file.path}" is longer than ${file.bytes} bytes`
          })
        }
        for (let done = 0; done < chunk.length; ) {
          done += (await handle.write(chunk, done, chunk.length - done, have + done)).bytesWritten
        }
        have += chunk.length
        onBytes(have)
      }
      // a rename may reach the disk before the content does
      await handle.datasync()
    } finally {
      await handle.close()
    }
  } finally {
    clearTimeout(timer)
  }
  if (have < file.bytes) {
    throw new HubError({
      reference,
      reason: "offline",
      detail: `the connection closed at byte ${have} of ${file.bytes}`
    })
  }
}

const check = async (part: string, { file, reference, signal }: Download): Promise<void> => {
  const hash = createHash(file.checksum === "sha256" ? "sha256" : "sha1")
  // git hashes a header and the content
  if (file.checksum === "git-sha1") hash.update(`blob ${file.bytes}\0`)
  for await (const chunk of createReadStream(part, { signal })) hash.update(chunk)
  const digest = hash.digest("hex")
  if (digest === file.etag) return
  await rm(part, { force: true })
  throw new HubError({
    reference,
    reason: "corrupt",
    detail: `"${file.path}" has the checksum ${digest} instead of ${file.etag}`
  })
}

/** Makes `path` a link to the blob, or a copy where links are not allowed. Replaces what was there at once. */
export const linkBlob = async (reference: string, blob: string, path: string): Promise<void> => {
  const fresh = `${path}.${process.pid}`
  try {
    await mkdir(dirname(path), { recursive: true })
    await rm(fresh, { force: true })
    await symlink(relative(dirname(path), blob), fresh).catch(() => copyFile(blob, fresh))
    await rename(fresh, path)
  } catch (cause) {
    throw asHubError(reference, cause)
  }
}

/** The typed error for anything that `fetch`, a body or the file system throws. */
export const asHubError = (reference: string, cause: unknown): HubError => {
  if (cause instanceof HubError) return cause
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : ""
  const detail = (cause instanceof Error ? cause.message : String(cause)) + inner
  if (code === "ENOSPC" || code === "EDQUOT") return new HubError({ reference, reason: "disk-full", detail, cause })
  if (cause instanceof Error && "syscall" in cause) return new HubError({ reference, reason: "disk", detail, cause })
  // a broken connection is a TypeError with a cause; without one, or as SyntaxError, it comes of reading the answer
  const unreadable = cause instanceof SyntaxError || (cause instanceof TypeError && inner === "")
  return new HubError({ reference, reason: unreadable ? "response" : "offline", detail, cause })
}
