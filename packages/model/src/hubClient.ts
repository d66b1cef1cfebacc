/**
 * Asking the Hub: requests with a token and typed failures, and the files of a revision.
 * @see https://huggingface.co/docs/hub/api
 * @module
 */
import { listFiles, modelInfo } from "@huggingface/hub"
import * as Redacted from "effect/Redacted"
import { HubError } from "./HubError.ts"
import { isCommit } from "./hubCache.ts"
import type { HubFetch } from "./hubDownload.ts"
import type { HubFile } from "./hubFiles.ts"

/** Entries of a listing that are read: the largest repositories have some thousand. */
const MAX_ENTRIES = 20_000

/** A `fetch` that adds the token and fails typed. `fetch` itself drops the token when a redirect goes to another host. */
export const hubFetch =
  (reference: string, token: Redacted.Redacted | undefined): HubFetch =>
  async (url, init) => {
    const headers = new Headers(init?.headers)
    // ranges count bytes of what is sent: no compression
    headers.set("accept-encoding", "identity")
    if (token !== undefined) headers.set("authorization", `Bearer ${Redacted.value(token)}`)
    const response = await globalThis.fetch(url, { ...init, headers })
    if (response.ok) return response
    await response.body?.cancel()
    const { status } = response
    const code = response.headers.get("x-error-code")
    const said = response.headers.get("x-error-message") ?? code ?? response.statusText
    const error = (reason: HubError["reason"], advice: string): HubError =>
      new HubError({ reference, reason, detail: `the Hub answers ${status} ${said}; ${advice}`.trim() })
    if (code === "GatedRepo" || status === 403) {
      throw error("gated", "accept the licence on the model's page and set HF_TOKEN")
    }
    if (status === 401) throw error("unauthorized", "check the name, or set HF_TOKEN")
    if (status === 404 || status === 410) throw error("missing", "check name and revision")
    if (status === 429 || status >= 500) throw error("busy", "try again later")
    throw error("response", "is HF_ENDPOINT a Hub?")
  }

/** The commit that a revision names, and its files. Rejects with `HubError`, or with what `fetch` rejects with. */
export const listRevision = async (request: {
  readonly reference: string
  readonly name: string
  readonly revision: string
  readonly endpoint: string
  readonly fetch: HubFetch
  readonly signal: AbortSignal
}): Promise<{ readonly commit: string; readonly files: ReadonlyArray<HubFile> }> => {
  const { name, reference, revision } = request
  const common = {
    hubUrl: request.endpoint,
    fetch: (input: string | URL | Request, init?: RequestInit) =>
      request.fetch(input instanceof Request ? input.url : String(input), { ...init, signal: request.signal })
  }
  const { sha } = await modelInfo({ ...common, name, revision, additionalFields: ["sha"] })
  if (!isCommit(sha)) throw new HubError({ reference, reason: "response", detail: "the commit has no name" })
  const files: Array<HubFile> = []
  let entries = 0
  for await (const entry of listFiles({ ...common, repo: { type: "model", name }, recursive: true, revision: sha })) {
    if (++entries > MAX_ENTRIES) {
      throw new HubError({ reference, reason: "response", detail: `it lists more than ${MAX_ENTRIES} files` })
    }
    if (entry.type === "file") files.push(readEntry(reference, entry))
  }
  return { commit: sha, files }
}

/** A listing comes from the network and becomes paths. */
const readEntry = (
  reference: string,
  entry: { readonly path: unknown; readonly size: unknown; readonly oid?: unknown; readonly lfs?: unknown }
): HubFile => {
  const { path, size: bytes, oid } = entry
  const lfs = typeof entry.lfs === "object" && entry.lfs !== null && "oid" in entry.lfs ? entry.lfs.oid : undefined
  const etag = lfs ?? oid
  const safe =
    typeof path === "string" && !/^[/\\]|[\\\0:]/.test(path) && !path.split("/").some((part) => /^\.{0,2}$/.test(part))
  const hash = typeof etag === "string" && (lfs === undefined ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/).test(etag)
  if (!safe || !hash || typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new HubError({
      reference,
      reason: "response",
      detail: `it lists a file without usable path, size and hash: ${JSON.stringify(entry).slice(0, 200)}`
    })
  }
  return { path, bytes, etag, checksum: lfs === undefined ? "git-sha1" : "sha256" }
}
