/**
 * Opening a model by reference.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { FormatError } from "@swarm/tensor"
import * as Effect from "effect/Effect"
import type { Architecture } from "./Architecture.ts"
import { digestOf } from "./digest.ts"
import { parseHubReference, resolveHub } from "./hubCache.ts"
import {
  ConfigurationError,
  type ModelError,
  ModelNotFound,
  UnknownArchitecture,
  Unsupported,
  WeightMismatch
} from "./ModelError.ts"
import { type Opened, openConfiguration, openFolder, openGgufFile } from "./openCheckpoint.ts"
import type { Model } from "./Plan.ts"
import { planEmbedding } from "./planEmbedding.ts"
import { planHead } from "./planHead.ts"
import { planSpan } from "./planSpan.ts"
import type { Tokenizer } from "./Tokenizer.ts"
import { tokenizerFromFolder } from "./tokenizers/folder.ts"
import { tokenizerFromGguf } from "./tokenizers/gguf.ts"

/** The embedded model: the same path from the sources and from the built package. */
const TINY = fileURLToPath(new URL("../models/tiny", import.meta.url))

/**
 * Opens a model: reads its configuration and the headers of its files, checks that they agree, and holds nothing open.
 *
 * `reference`: a GGUF file; a folder in Hugging Face layout, or with one GGUF file; `tiny`, the embedded model; or
 * `owner/name[@revision]`, which must be in the local Hub cache. A file or folder wins over a Hub reference.
 *
 * @example The parts of a model
 * ```ts
 * import { openModel } from "@swarm/model"
 * import * as Effect from "effect/Effect"
 *
 * const model = Effect.runSync(openModel("tiny"))
 * console.log(model.name, model.blocks, model.span(0, 4).initializers.length)
 * ```
 */
export const openModel = (reference: string): Effect.Effect<Model, ModelError> =>
  Effect.gen(function* () {
    const local = yield* attempt(() => findLocal(reference))
    if (local !== undefined) return yield* attempt(() => openAt(reference, local))
    if (parseHubReference(reference) === undefined) {
      return yield* new ModelNotFound({ reference, detail: "there is no such file or folder" })
    }
    const snapshot = yield* resolveHub(reference).pipe(
      Effect.catchTag("BadHubReference", (error) => new ModelNotFound({ reference, detail: error.message }))
    )
    return yield* attempt(() => openAt(reference, { location: modelIn(reference, snapshot), name: reference }))
  })

/**
 * What a model is made of, also where there are no weights: `reference` may be a `config.json`, or a folder that holds one
 * and no safetensors, besides all that {@link openModel} opens.
 */
export const openArchitecture = (
  reference: string
): Effect.Effect<{ readonly name: string; readonly architecture: Architecture; readonly model?: Model }, ModelError> =>
  Effect.suspend(() => {
    const stat = fs.statSync(reference, { throwIfNoEntry: false })
    const file = stat?.isDirectory() ? path.join(reference, "config.json") : reference
    const hasWeights = stat?.isDirectory() === true && fs.readdirSync(reference).some((name) => WEIGHTS.test(name))
    if (hasWeights || !file.endsWith(".json") || !fs.existsSync(file)) {
      return Effect.map(openModel(reference), (model) => ({
        name: model.name,
        architecture: model.architecture,
        model
      }))
    }
    const name = path.basename(path.dirname(path.resolve(file)))
    return attempt(() => ({ name, architecture: openConfiguration(file) }))
  })

/** Files that hold weights or say where they are. */
const WEIGHTS = /\.(?:safetensors|safetensors\.index\.json|gguf)$/

/** Runs what throws `ModelError`s; anything else is a defect. */
const attempt = <A>(run: () => A): Effect.Effect<A, ModelError> =>
  Effect.suspend((): Effect.Effect<A, ModelError> => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return isModelError(error) ? Effect.fail(error) : Effect.die(error)
    }
  })

interface Place {
  /** A GGUF file, or a folder with `config.json`. */
  readonly location: string
  readonly name?: string
}

const openAt = (reference: string, { location, name }: Place): Model => {
  const opened = location.endsWith(".gguf") ? openGgufFile(location) : openFolder(location)
  const { architecture, weights } = opened
  let tokenizer: Tokenizer | undefined
  return {
    reference,
    name: name ?? nameOf(opened, location),
    digest: digestOf(architecture, weights.checkpoint),
    architecture,
    opened,
    blocks: architecture.blocks,
    hiddenSize: architecture.hiddenSize,
    vocabSize: architecture.vocabSize,
    contextLength: architecture.contextLength,
    span: (from, to, options) => planSpan(architecture, weights, from, to, options),
    head: (options) => planHead(architecture, weights, options),
    embedding: () => planEmbedding(architecture, weights),
    tokenizer: () => {
      tokenizer ??= tokenizerOf(opened)
      return tokenizer
    }
  }
}

const tokenizerOf = ({ source }: Opened): Tokenizer =>
  source.format === "gguf" ? tokenizerFromGguf(source.file, source.metadata) : tokenizerFromFolder(source.folder)

const nameOf = ({ source }: Opened, location: string): string => {
  const given = source.format === "gguf" ? source.metadata.get("general.name") : undefined
  return typeof given === "string" && given !== "" ? given : path.basename(path.resolve(location), ".gguf")
}

const isModelError = (error: unknown): error is ModelError =>
  [FormatError, ModelNotFound, UnknownArchitecture, ConfigurationError, WeightMismatch, Unsupported].some(
    (type) => error instanceof type
  )

/** The file or folder that a reference means on this machine, if any. */
const findLocal = (reference: string): Place | undefined => {
  if (reference === "tiny") return { location: TINY, name: "tiny" }
  const stat = fs.statSync(reference, { throwIfNoEntry: false })
  if (stat?.isDirectory()) return { location: modelIn(reference, reference) }
  if (stat === undefined) return undefined
  if (reference.endsWith(".gguf")) return { location: reference }
  throw new ModelNotFound({ reference, detail: "the file is not called .gguf" })
}

/** The folder itself, or the GGUF file in it. */
const modelIn = (reference: string, folder: string): string => {
  const files = fs.readdirSync(folder)
  if (files.includes("config.json")) return folder
  const [file, ...others] = files.filter((name) => name.endsWith(".gguf")).sort()
  if (file === undefined)
    throw new ModelNotFound({ reference, detail: "the folder has no config.json and no GGUF file" })
  if (others.length > 0) {
    throw new ModelNotFound({
      reference,
      detail: `the folder has several GGUF files: name one of ${[file, ...others].join(", ")}`
    })
  }
  return path.join(folder, file)
}
