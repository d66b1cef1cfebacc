/**
 * Downloading models from the Hugging Face Hub into the cache that its tools share.
 * @module
 */
import { mkdir, statfs, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { type BadHubReference, HubError } from "./HubError.ts"
import { hubCacheFolder, hubReference, repositoryFolder } from "./hubCache.ts"
import { hubFetch, listRevision } from "./hubClient.ts"
import { asHubError, downloadBlob, linkBlob, sizeOf } from "./hubDownload.ts"
import { chooseFiles, type HubFile } from "./hubFiles.ts"

/** How far a pull is. */
export interface PullProgress {
  /** The file that just advanced. */
  readonly file: string
  /** Needed files, those already there included. */
  readonly files: number
  /** Bytes of the needed files on disk. Goes back if a server cannot resume. */
  readonly received: number
  readonly total: number
}

/** Options of `pull`; what is absent is read from the environment. */
export interface PullOptions {
  /** One GGUF file instead of safetensors: its path, or a part that only it has, such as `Q4_K_M`. */
  readonly gguf?: string
  /** @default {cache} `hubCacheFolder` */
  readonly cache?: string
  /** @default {endpoint} `$HF_ENDPOINT`, else https://huggingface.co */
  readonly endpoint?: string
  /** @default {token} `$HF_TOKEN` */
  readonly token?: Redacted.Redacted
  /** Called for each piece that arrives, so often: do little. */
  readonly onProgress?: (progress: PullProgress) => void
  /** A connection that is silent for so long is given up and tried anew. @default "30 seconds" */
  readonly idle?: Duration.DurationInput
  /** Before the first new attempt; doubles four times. @default "500 millis" */
  readonly retryDelay?: Duration.DurationInput
}

/** A finished pull. */
export interface Pulled {
  /** The snapshot's folder. */
  readonly folder: string
  readonly commit: string
  readonly files: ReadonlyArray<string>
  readonly bytes: number
}

/** After the first attempt, where nothing arrives. */
const RETRIES = 4
/** Files in flight at once. */
const CONCURRENCY = 4

const ENDPOINT = Config.nonEmptyString("HF_ENDPOINT").pipe(Config.withDefault("https://huggingface.co"))
const TOKEN = Config.option(Config.redacted(Config.nonEmptyString("HF_TOKEN")))

/**
 * Downloads what is needed to run `owner/name[@revision]`: configuration, tokenizer, and safetensors or one GGUF file.
 * Only what is missing is fetched; a file that broke off goes on where it ended. Every file is checked against its hash.
 * A branch or tag counts as downloaded, for `resolveHub`, once all files are there. Interruption closes the connections
 * and files, and keeps what has arrived.
 *
 * @example Download and show progress
 * ```ts ignore needs the network
 * import { pull } from "@swarm/model"
 * import { Effect } from "effect"
 *
 * const { folder } = await Effect.runPromise(
 *   pull("HuggingFaceTB/SmolLM2-135M-Instruct", { onProgress: (p) => console.log(p.received / p.total) })
 * )
 * ```
 */
export const pull = (reference: string, options: PullOptions = {}): Effect.Effect<Pulled, BadHubReference | HubError> =>
  Effect.gen(function* () {
    const { name, revision } = yield* hubReference(reference)
    const cache = options.cache ?? (yield* Effect.orDie(hubCacheFolder))
    const endpoint = (options.endpoint ?? (yield* Effect.orDie(ENDPOINT))).replace(/\/+$/, "")
    const token = options.token ?? Option.getOrUndefined(yield* Effect.orDie(TOKEN))
    const idleMillis = Duration.toMillis(options.idle ?? "30 seconds")
    const fetch = hubFetch(reference, token)
    const folder = repositoryFolder(cache, name)
    const schedule = Schedule.exponential(options.retryDelay ?? "500 millis").pipe(
      Schedule.jittered,
      Schedule.intersect(Schedule.recurs(RETRIES))
    )
    const persist = <A>(effect: Effect.Effect<A, HubError>): Effect.Effect<A, HubError> =>
      Effect.retry(effect, { schedule, while: (error) => error.reason === "offline" || error.reason === "busy" })

    const { commit, files } = yield* persist(
      settled(reference, (signal) => {
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(idleMillis)])
        return listRevision({ reference, name, revision, endpoint, fetch, signal: bounded })
      })
    )
    const choice = chooseFiles(files, options.gguf)
    if ("problem" in choice) return yield* new HubError({ reference, reason: "weights", detail: choice.problem })
    const blobOf = (file: HubFile): string => join(folder, "blobs", file.etag)
    const snapshot = join(folder, "snapshots", commit)
    // equal files share a blob
    const blobs = [...new Map(choice.files.map((file) => [file.etag, file])).values()]
    const total = blobs.reduce((sum, file) => sum + file.bytes, 0)
    yield* settled(reference, () => requireSpace(reference, folder, blobs, blobOf))

    const received = new Map<string, number>()
    const advance = (file: HubFile, bytes: number): void => {
      received.set(file.etag, bytes)
      const sum = [...received.values()].reduce((a, b) => a + b, 0)
      options.onProgress?.({ file: file.path, files: choice.files.length, received: sum, total })
    }
    const download = (file: HubFile): Effect.Effect<void, HubError> =>
      settled(reference, (signal) => {
        const path = file.path.split("/").map(encodeURIComponent).join("/")
        return downloadBlob({
          reference,
          file,
          url: `${endpoint}/${name}/resolve/${commit}/${path}`,
          blob: blobOf(file),
          fetch,
          signal,
          idleMillis,
          onBytes: (bytes) => advance(file, bytes)
        })
      })
    /** A connection that breaks again and again is no reason to give up as long as something arrives. */
    const finish = (file: HubFile): Effect.Effect<void, HubError> =>
      Effect.suspend(() => {
        const before = received.get(file.etag) ?? 0
        const advanced = (error: HubError): boolean =>
          error.reason === "offline" && (received.get(file.etag) ?? 0) > before
        return persist(download(file)).pipe(Effect.catchIf(advanced, () => finish(file)))
      })
    yield* Effect.forEach(blobs, finish, { concurrency: CONCURRENCY, discard: true })
    for (const file of choice.files) {
      yield* settled(reference, () => linkBlob(reference, blobOf(file), join(snapshot, file.path)))
    }
    if (revision !== commit) yield* settled(reference, () => writeRef(join(folder, "refs", revision), commit))
    return { folder: snapshot, commit, files: choice.files.map((file) => file.path), bytes: total }
  })

/** Interruption aborts the signal and waits for the promise, so that nothing is written after it. */
const settled = <A>(reference: string, run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, HubError> =>
  Effect.async((resume) => {
    const controller = new AbortController()
    const done = run(controller.signal).then(
      (value) => resume(Effect.succeed(value)),
      (cause) => resume(Effect.fail(asHubError(reference, cause)))
    )
    return Effect.suspend(() => {
      controller.abort()
      return Effect.promise(() => done)
    })
  })

const requireSpace = async (
  reference: string,
  folder: string,
  blobs: ReadonlyArray<HubFile>,
  blobOf: (file: HubFile) => string
): Promise<void> => {
  await mkdir(folder, { recursive: true })
  let needed = 0
  for (const file of blobs) {
    const path = blobOf(file)
    needed += file.bytes - ((await sizeOf(path)) ?? Math.min(file.bytes, (await sizeOf(`${path}.incomplete`)) ?? 0))
  }
  const { bavail, bsize } = await statfs(folder)
  if (needed <= bavail * bsize) return
  const detail = `${needed} bytes are needed, ${bavail * bsize} are free in "${folder}"`
  throw new HubError({ reference, reason: "disk-full", detail })
}

const writeRef = async (path: string, commit: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, commit)
}
