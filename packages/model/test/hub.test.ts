import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Redacted } from "effect"
import { type PullOptions, type PullProgress, pull } from "../src/hub.ts"
import { parseHubReference, resolveHub } from "../src/hubCache.ts"
import { chooseFiles } from "../src/hubFiles.ts"
import { COMMIT, entryOf, type FakeHub, fakeHub, sendContent } from "./fakeHub.ts"

const cacheFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "swarm-hub-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const weights = Buffer.alloc(300_000, "weights")
const files: ReadonlyArray<readonly [string, Buffer]> = [
  ["README.md", Buffer.from("not needed")],
  ["config.json", Buffer.from('{"model_type":"llama"}')],
  ["tokenizer.json", Buffer.from("{}")],
  ["tokenizer_config.json", Buffer.from("{}")],
  ["model.safetensors", weights],
  ["consolidated.safetensors", Buffer.from("a second copy")]
]

/** The entry of a regular file. */
const blobOf = (path: string): { readonly etag: string } => {
  const entry = entryOf(path, files.find(([name]) => name === path)?.[1] ?? Buffer.alloc(0))
  return { etag: String(Object(entry.lfs ?? entry).oid) }
}

/** A hub with a model, an empty cache, and `pull` between them. */
const setUp = Effect.gen(function* () {
  const hub = yield* fakeHub
  const cache = yield* cacheFolder
  for (const [path, content] of files) hub.files.set(path, content)
  const download = (options: PullOptions = {}, reference = "owner/model") =>
    pull(reference, { cache, endpoint: hub.endpoint, retryDelay: "1 millis", ...options }).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
    )
  return { hub, cache, folder: join(cache, "models--owner--model"), download }
})

const contentRequests = (hub: FakeHub): ReadonlyArray<string> => hub.requests.filter((line) => line.includes("/lfs/"))

describe("pull", () => {
  it.scopedLive("downloads what is needed, into the layout that other tools read", () =>
    Effect.gen(function* () {
      const { hub, cache, folder, download } = yield* setUp
      const progress: Array<PullProgress> = []
      const before = yield* Effect.flip(resolveHub("owner/model", { cache }))
      assert.strictEqual(before._tag, "NotCached")
      assert.include(before.message, "swarm pull owner/model")

      const pulled = yield* download({ onProgress: (event) => progress.push(event) })
      const needed = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
      assert.deepStrictEqual([...pulled.files].sort(), needed)
      assert.deepStrictEqual(readdirSync(pulled.folder).sort(), needed)
      assert.isTrue(readFileSync(join(pulled.folder, "model.safetensors")).equals(weights))
      assert.isTrue(lstatSync(join(pulled.folder, "model.safetensors")).isSymbolicLink())
      assert.strictEqual(readFileSync(join(folder, "refs", "main"), "utf8"), COMMIT)
      assert.isEmpty(readdirSync(join(folder, "blobs")).filter((name) => name.endsWith(".incomplete")))
      assert.strictEqual(progress.at(-1)?.received, pulled.bytes)
      assert.strictEqual(progress.at(-1)?.total, pulled.bytes)

      assert.strictEqual(yield* resolveHub("owner/model", { cache }), pulled.folder)
      assert.strictEqual(yield* resolveHub(`owner/model@${COMMIT}`, { cache }), pulled.folder)
      const other = yield* Effect.flip(resolveHub("owner/model@v2", { cache }))
      assert.include(other.message, 'revision "v2"')

      hub.requests.length = 0
      yield* download()
      assert.isFalse(hub.requests.some((line) => line.includes("/resolve/")))
    })
  )

  it.scopedLive("goes on where a connection was cut, within one pull", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      let cuts = 0
      hub.fault = (request, response, path) => {
        if (path !== "model.safetensors" || !request.url?.startsWith("/lfs/") || cuts++ >= 2) return false
        sendContent(request, response, weights, 100_000)
        return true
      }
      const pulled = yield* download()
      assert.isTrue(readFileSync(join(pulled.folder, "model.safetensors")).equals(weights))
      assert.deepStrictEqual(
        contentRequests(hub).map((line) => line.split(" ")[2]),
        [undefined, "bytes=100000-", "bytes=200000-"]
      )
    })
  )

  it.scopedLive("does not give up while something arrives", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      hub.fault = (request, response, path) => {
        if (path !== "model.safetensors" || !request.url?.startsWith("/lfs/")) return false
        sendContent(request, response, weights, 25_000)
        return true
      }
      const pulled = yield* download()
      assert.isTrue(readFileSync(join(pulled.folder, "model.safetensors")).equals(weights))
      assert.lengthOf(contentRequests(hub), 12)
    })
  )

  it.scopedLive("goes on in a later pull, and gives up in between", () =>
    Effect.gen(function* () {
      const { hub, cache, download } = yield* setUp
      hub.fault = (request, response, path) => {
        if (path !== "model.safetensors" || !request.url?.startsWith("/lfs/")) return false
        if (request.headers.range === undefined) sendContent(request, response, weights, 120_000)
        else response.destroy()
        return true
      }
      const error = yield* Effect.flip(download())
      assert(error._tag === "HubError")
      assert.strictEqual(error.reason, "offline")
      assert.strictEqual((yield* Effect.flip(resolveHub("owner/model", { cache })))._tag, "NotCached")
      hub.fault = undefined
      hub.requests.length = 0
      const pulled = yield* download()
      assert.isTrue(readFileSync(join(pulled.folder, "model.safetensors")).equals(weights))
      assert.strictEqual(contentRequests(hub)[0]?.split(" ")[2], "bytes=120000-")
    })
  )

  it.scopedLive("starts anew where the server cannot resume", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      let first = true
      hub.fault = (request, response, path) => {
        if (path !== "model.safetensors" || !request.url?.startsWith("/lfs/")) return false
        request.headers.range = undefined
        sendContent(request, response, weights, first ? 50_000 : Infinity)
        first = false
        return true
      }
      const pulled = yield* download()
      assert.isTrue(readFileSync(join(pulled.folder, "model.safetensors")).equals(weights))
    })
  )

  it.scopedLive("throws away bytes with another checksum", () =>
    Effect.gen(function* () {
      for (const [path, wrong] of [
        ["model.safetensors", Buffer.alloc(weights.length, "W")],
        ["config.json", Buffer.alloc(22, "x")]
      ] as const) {
        const { hub, folder, download } = yield* setUp
        hub.fault = (request, response, asked) => {
          if (asked !== path || request.url?.startsWith("/lfs/") !== path.endsWith(".safetensors")) return false
          sendContent(request, response, wrong)
          return true
        }
        const error = yield* Effect.flip(download())
        assert(error._tag === "HubError")
        assert.strictEqual(error.reason, "corrupt")
        assert.include(error.message, path)
        const { etag } = blobOf(path)
        assert.isFalse(readdirSync(join(folder, "blobs")).some((name) => name.startsWith(etag)))
        assert.isFalse(existsSync(join(folder, "refs")))
        hub.fault = undefined
        yield* download()
      }
    })
  )

  it.scopedLive("tries again when the Hub is busy, and when a connection goes silent", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      let faults = 0
      hub.fault = (request, response, path) => {
        if (path.startsWith("/api") && faults++ === 0) response.writeHead(503).end()
        else if (request.url?.startsWith("/lfs/") && faults++ < 3) response.writeHead(200).write("w")
        else return false
        return true
      }
      const pulled = yield* download({ idle: "200 millis" })
      assert.isTrue(readFileSync(join(pulled.folder, "model.safetensors")).equals(weights))
    })
  )

  it.scopedLive("says what the Hub refuses", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      const cases = [
        [401, {}, "unauthorized", "HF_TOKEN"],
        [403, {}, "gated", "licence"],
        [401, { "x-error-code": "GatedRepo" }, "gated", "licence"],
        [404, { "x-error-code": "RevisionNotFound" }, "missing", "RevisionNotFound"],
        [429, {}, "busy", "429"],
        [418, {}, "response", "418"]
      ] as const
      for (const [status, headers, reason, text] of cases) {
        hub.fault = (_request, response) => {
          response.writeHead(status, headers).end()
          return true
        }
        const error = yield* Effect.flip(download())
        assert(error._tag === "HubError")
        assert.strictEqual(error.reason, reason)
        assert.include(error.message, text)
      }
    })
  )

  it.scopedLive("sends the token, also to the files, but not to a host that it is redirected to", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      const elsewhere = yield* fakeHub
      elsewhere.files.set("model.safetensors", weights)
      hub.fault = (_request, response, path) => {
        if (path !== "model.safetensors") return false
        response.writeHead(302, { location: `${elsewhere.endpoint}/lfs/${path}` }).end()
        return true
      }
      yield* download({ token: Redacted.make("secret") })
      assert.isTrue(hub.tokens.every((token) => token === "Bearer secret"))
      assert.deepStrictEqual(elsewhere.tokens, [undefined])
    })
  )

  it.scopedLive("reads cache, endpoint and token from the environment", () =>
    Effect.gen(function* () {
      const { hub, cache } = yield* setUp
      const environment = [
        ["HF_HOME", cache],
        ["HF_ENDPOINT", `${hub.endpoint}/`],
        ["HF_TOKEN", "secret"],
        ["HF_HUB_CACHE", ""]
      ] as const
      const provide = Effect.withConfigProvider(ConfigProvider.fromMap(new Map(environment)))
      const { folder } = yield* provide(pull("owner/model"))
      assert.isTrue(folder.startsWith(join(cache, "hub")))
      assert.strictEqual(hub.tokens[0], "Bearer secret")
      assert.strictEqual(yield* provide(resolveHub("owner/model")), folder)
    })
  )

  it.scopedLive("stops at once when interrupted, and keeps what has arrived", () =>
    Effect.gen(function* () {
      const { hub, folder, download } = yield* setUp
      hub.fault = (request, response) => {
        if (!request.url?.startsWith("/lfs/") || request.headers.range !== undefined) return false
        response.writeHead(200, { "content-length": weights.length }).write(weights.subarray(0, 70_000))
        return true
      }
      const arrived = yield* Effect.makeLatch(false)
      const fiber = yield* Effect.fork(
        download({ onProgress: (event) => event.received > 70_000 && Effect.runSync(arrived.open) })
      )
      yield* arrived.await
      yield* Fiber.interrupt(fiber)
      const part = join(folder, "blobs", `${blobOf("model.safetensors").etag}.incomplete`)
      assert.strictEqual(statSync(part).size, 70_000)
      yield* download()
      assert.strictEqual(contentRequests(hub).at(-1)?.split(" ")[2], "bytes=70000-")
    })
  )

  it.scopedLive("trusts no listing", () =>
    Effect.gen(function* () {
      const { hub, cache, download } = yield* setUp
      const good = entryOf("config.json", Buffer.from("{}"))
      const large = entryOf("model.safetensors", weights)
      for (const path of ["../../escape", "/etc/passwd", "a\\..\\b", "C:x", "a//b", "a/./b", 3, null, ""]) {
        hub.listing = [good, { ...large, path }]
        const error = yield* Effect.flip(download())
        assert(error._tag === "HubError")
        assert.strictEqual(error.reason, "response", String(path))
      }
      for (const change of [
        { size: -1 },
        { size: 1.5 },
        { size: "9" },
        { lfs: { oid: "../x" } },
        { lfs: undefined, oid: "zz" }
      ]) {
        hub.listing = [good, { ...large, ...change }]
        const error = yield* Effect.flip(download())
        assert(error._tag === "HubError")
        assert.strictEqual(error.reason, "response", JSON.stringify(change))
      }
      hub.listing = [good, { ...large, size: 2 ** 52 }]
      const full = yield* Effect.flip(download())
      assert(full._tag === "HubError")
      assert.strictEqual(full.reason, "disk-full")
      assert.isFalse(existsSync(join(cache, "escape")))
    })
  )

  it.scopedLive("does not take more bytes than were announced", () =>
    Effect.gen(function* () {
      const { hub, download } = yield* setUp
      hub.fault = (request, response) => {
        if (!request.url?.startsWith("/lfs/")) return false
        response.writeHead(200).end(Buffer.alloc(weights.length + 1))
        return true
      }
      const error = yield* Effect.flip(download())
      assert(error._tag === "HubError")
      assert.strictEqual(error.reason, "response")
    })
  )

  it.scopedLive("says so when nobody answers, and when the cache cannot be written", () =>
    Effect.gen(function* () {
      const { cache, download } = yield* setUp
      const offline = yield* Effect.flip(download({ endpoint: "http://127.0.0.1:1" }))
      assert(offline._tag === "HubError")
      assert.strictEqual(offline.reason, "offline")
      writeFileSync(join(cache, "file"), "")
      const disk = yield* Effect.flip(download({ cache: join(cache, "file") }))
      assert(disk._tag === "HubError")
      assert.strictEqual(disk.reason, "disk")
    })
  )

  it.scopedLive("downloads the chosen GGUF file with all its parts", () =>
    Effect.gen(function* () {
      const { hub, cache, download } = yield* setUp
      hub.files.clear()
      for (const path of ["m-Q4_0.gguf", "big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"]) {
        hub.files.set(path, Buffer.from(path))
      }
      const error = yield* Effect.flip(download())
      assert.include(error.message, '"m-Q4_0.gguf"')
      const { files, folder } = yield* download({ gguf: "q8_0" })
      assert.deepStrictEqual([...files].sort(), ["big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"])
      assert.strictEqual(yield* resolveHub("owner/model", { cache }), folder)
    })
  )
})

describe("resolveHub", () => {
  it.scopedLive("does not take a model for complete that is not", () =>
    Effect.gen(function* () {
      const { hub, cache, folder, download } = yield* setUp
      hub.files.delete("model.safetensors")
      const index = { weight_map: { a: "model-1-of-2.safetensors", b: "model-2-of-2.safetensors" } }
      hub.files.set("model.safetensors.index.json", Buffer.from(JSON.stringify(index)))
      hub.files.set("model-1-of-2.safetensors", Buffer.from("1"))
      hub.files.set("model-2-of-2.safetensors", Buffer.from("2"))
      const pulled = yield* download()
      assert.strictEqual(yield* resolveHub("owner/model", { cache }), pulled.folder)
      rmSync(join(folder, "blobs", readdirSync(join(folder, "blobs")).find((name) => name.length === 64) ?? "none"))
      const error = yield* Effect.flip(resolveHub("owner/model", { cache }))
      assert.include(error.message, "1 of 2 weight files are missing")
      writeFileSync(join(folder, "refs", "main"), "../../../etc")
      assert.include((yield* Effect.flip(resolveHub("owner/model", { cache }))).message, 'revision "main"')
    })
  )

  it.effect("rejects what is no reference", () =>
    Effect.gen(function* () {
      for (const reference of [
        "",
        "model",
        "a/b/c",
        "../x",
        "a/..",
        "a/b@",
        "a/b@../c",
        "a/b@x//y",
        "a b/c",
        "a/b@-x"
      ]) {
        assert.strictEqual((yield* Effect.flip(resolveHub(reference)))._tag, "BadHubReference", reference)
      }
      assert.deepStrictEqual(parseHubReference("a/b.c-d"), { name: "a/b.c-d", revision: "main" })
      assert.deepStrictEqual(parseHubReference("a/b@refs/pr/1"), { name: "a/b", revision: "refs/pr/1" })
    })
  )
})

describe("chooseFiles", () => {
  const choose = (paths: ReadonlyArray<string>, gguf?: string): string => {
    const chosen = chooseFiles(
      paths.map((path) => ({ path, bytes: 1, etag: path, checksum: "sha256" })),
      gguf
    )
    return "problem" in chosen ? chosen.problem : chosen.files.map((file) => file.path).join(" ")
  }

  it("takes weights of other names where there are no standard ones", () => {
    assert.strictEqual(choose(["gptq_model-4bit.safetensors", "x/y.safetensors"]), "gptq_model-4bit.safetensors")
    assert.strictEqual(choose(["adapter_model.safetensors", "m.gguf"]), "m.gguf")
  })

  it("prefers the exact name of a GGUF file", () => {
    assert.strictEqual(choose(["m-q4.gguf", "other-m-q4.gguf"], "m-q4.gguf"), "m-q4.gguf")
    assert.include(choose(["m-q4.gguf", "other-m-q4.gguf"], "q4"), "choose one")
    assert.include(choose(["m-q4.gguf"], "q8"), 'there are "m-q4.gguf"')
    assert.include(choose(["README.md", "pytorch_model.bin"]), "neither")
  })
})
