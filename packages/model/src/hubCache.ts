/**
 * The cache folder that Hugging Face tools share: which model lies where.
 *
 * `models--owner--name/refs/REVISION` holds a commit, `snapshots/COMMIT/FILE` are links into `blobs/HASH`.
 * @see https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { BadHubReference, NotCached } from "./HubError.ts"

/** A model of the Hub. */
export interface HubReference {
  /** `owner/name` */
  readonly name: string
  /** Branch, tag or commit. */
  readonly revision: string
}

const REFERENCE = /^([A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95})(?:@([A-Za-z0-9][\w./-]{0,254}))?$/
const COMMIT = /^[0-9a-f]{40}$/

/** True for the full name of a commit. */
export const isCommit = (text: unknown): text is string => typeof text === "string" && COMMIT.test(text)

/** Reads `owner/name[@revision]`; the revision is `main` if none is given. Undefined if it is none. */
export const parseHubReference = (reference: string): HubReference | undefined => {
  const [, name, revision = "main"] = REFERENCE.exec(reference) ?? []
  // these become paths and addresses
  if (name === undefined || `${name}/${revision}`.split("/").some((part) => part === "" || part.includes(".."))) {
    return undefined
  }
  return { name, revision }
}

/** As `parseHubReference`, with a typed error. */
export const hubReference = (reference: string): Effect.Effect<HubReference, BadHubReference> => {
  const parsed = parseHubReference(reference)
  return parsed === undefined ? Effect.fail(new BadHubReference({ reference })) : Effect.succeed(parsed)
}

/** `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `$XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`. */
export const hubCacheFolder: Config.Config<string> = Config.nonEmptyString("HF_HUB_CACHE").pipe(
  Config.orElse(() => Config.nonEmptyString("HUGGINGFACE_HUB_CACHE")),
  Config.orElse(() => Config.map(Config.nonEmptyString("HF_HOME"), (home) => join(home, "hub"))),
  Config.orElse(() =>
    Config.map(Config.nonEmptyString("XDG_CACHE_HOME"), (cache) => join(cache, "huggingface", "hub"))
  ),
  Config.withDefault(join(homedir(), ".cache", "huggingface", "hub"))
)

/** The folder of one repository. */
export const repositoryFolder = (cache: string, name: string): string =>
  join(cache, `models--${name.replace("/", "--")}`)

/**
 * The folder of a downloaded model. Asks nobody and runs synchronously. A model whose weights are incomplete, as an
 * interrupted download of other software leaves it, is `NotCached`.
 */
export const resolveHub = (
  reference: string,
  options: { readonly cache?: string } = {}
): Effect.Effect<string, BadHubReference | NotCached> =>
  Effect.gen(function* () {
    const { name, revision } = yield* hubReference(reference)
    const cache = options.cache ?? (yield* Effect.orDie(hubCacheFolder))
    const folder = repositoryFolder(cache, name)
    const commit = isCommit(revision) ? revision : readRef(join(folder, "refs", revision))
    const snapshot = commit === undefined ? undefined : join(folder, "snapshots", commit)
    if (snapshot === undefined || !existsSync(snapshot)) {
      const detail = existsSync(folder) ? `revision "${revision}" is not there` : "it is not there"
      return yield* new NotCached({ reference, cache, detail })
    }
    const missing = missingWeights(snapshot)
    if (missing !== undefined) return yield* new NotCached({ reference, cache, detail: missing })
    return snapshot
  })

const readRef = (path: string): string | undefined => {
  try {
    const text = readFileSync(path, "utf8").trim()
    return isCommit(text) ? text : undefined
  } catch {
    return undefined
  }
}

/** Says which weights a snapshot lacks; undefined if it can be opened. */
const missingWeights = (snapshot: string): string | undefined => {
  // a link whose blob is gone is listed, but does not exist
  const files = readdirSync(snapshot, { recursive: true, encoding: "utf8" })
  const present = files.filter((file) => existsSync(join(snapshot, file)))
  const index = present.find((file) => file.endsWith(".safetensors.index.json"))
  if (index !== undefined) {
    const shards = readShards(join(snapshot, index))
    const gone = shards.filter((shard) => !present.includes(shard))
    return gone.length === 0 ? undefined : `${gone.length} of ${shards.length} weight files are missing`
  }
  const weights = present.some((file) => file.endsWith(".safetensors") || file.endsWith(".gguf"))
  return weights ? undefined : "it holds no safetensors or GGUF file"
}

const readShards = (index: string): ReadonlyArray<string> => {
  try {
    const map: unknown = JSON.parse(readFileSync(index, "utf8")).weight_map
    return [...new Set(Object.values(Object(map)).map(String))]
  } catch {
    return [index]
  }
}
