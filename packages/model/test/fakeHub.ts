/**
 * A server that answers like the Hub, with faults on demand. Listens on 127.0.0.1 only.
 * @module
 */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import * as Effect from "effect/Effect"

export const COMMIT = "0123456789abcdef0123456789abcdef01234567"

export interface FakeHub {
  readonly endpoint: string
  /** Every request, as "METHOD path range". */
  readonly requests: Array<string>
  /** Value of the authorization header of each request. */
  readonly tokens: Array<string | undefined>
  /** Runs before the regular answer; true if it has answered. */
  fault: ((request: IncomingMessage, response: ServerResponse, path: string) => boolean) | undefined
  /** Content by path in the repository `owner/model`; `.safetensors` and `.gguf` files are large files. */
  readonly files: Map<string, Buffer>
  /** Entries of the listing; made from `files` unless set. */
  listing: ReadonlyArray<unknown> | undefined
}

const isLarge = (path: string): boolean => /\.(safetensors|gguf)$/.test(path)
const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex")
const gitSha1 = (content: Buffer): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex")

export const entryOf = (path: string, content: Buffer): Record<string, unknown> => ({
  type: "file",
  path,
  size: content.length,
  oid: gitSha1(content),
  ...(isLarge(path) ? { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } } : {})
})

/** Sends content as a server does that can resume. `limit` bytes at most, then the connection is cut. */
export const sendContent = (request: IncomingMessage, response: ServerResponse, content: Buffer, limit = Infinity) => {
  const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)
  const body = content.subarray(start)
  const range =
    request.headers.range === undefined
      ? {}
      : { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }
  response.writeHead(request.headers.range === undefined ? 200 : 206, { "content-length": body.length, ...range })
  if (limit >= body.length) response.end(body)
  else response.write(body.subarray(0, limit), () => setTimeout(() => response.destroy(), 20))
}

/** Starts the server for as long as the scope lives. */
export const fakeHub = Effect.acquireRelease(
  Effect.async<{ readonly hub: FakeHub; readonly close: () => Promise<void> }>((resume) => {
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://x")
      hub.requests.push(`${request.method} ${url.pathname} ${request.headers.range ?? ""}`.trim())
      hub.tokens.push(request.headers.authorization)
      const path = /^\/(?:owner\/model\/resolve\/[^/]+|lfs)\/(.*)$/.exec(url.pathname)?.[1] ?? url.pathname
      if (hub.fault?.(request, response, path) === true) return
      const json = (value: unknown, headers: Record<string, string> = {}): void => {
        response.writeHead(200, { "content-type": "application/json", ...headers })
        response.end(JSON.stringify(value))
      }
      if (url.pathname === "/api/models/owner/model/revision/main" || url.pathname.endsWith(`/revision/${COMMIT}`)) {
        json({ _id: "1", id: "owner/model", sha: COMMIT, lastModified: "2024-01-01T00:00:00Z", gated: false })
      } else if (url.pathname === `/api/models/owner/model/tree/${COMMIT}`) {
        const entries = hub.listing ?? [...hub.files].map(([name, content]) => entryOf(name, content))
        const page = Number(url.searchParams.get("page") ?? 0)
        const next = `<${hub.endpoint}${url.pathname}?page=${page + 1}>; rel="next"`
        json(entries.slice(2 * page, 2 * page + 2), entries.length > 2 * page + 2 ? { link: next } : {})
      } else {
        const content = hub.files.get(path)
        if (content === undefined) response.writeHead(404, { "x-error-code": "RepoNotFound" }).end()
        else if (isLarge(path) && !url.pathname.startsWith("/lfs/"))
          response.writeHead(302, { location: `/lfs/${path}` }).end()
        else sendContent(request, response, content)
      }
    })
    const hub: FakeHub & { endpoint: string } = {
      endpoint: "",
      requests: [],
      tokens: [],
      fault: undefined,
      files: new Map(),
      listing: undefined
    }
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      hub.endpoint = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
      const close = () =>
        new Promise<void>((done) => {
          server.close(() => done())
          server.closeAllConnections()
        })
      resume(Effect.succeed({ hub, close }))
    })
  }),
  ({ close }) => Effect.promise(close)
).pipe(Effect.map(({ hub }) => hub))
