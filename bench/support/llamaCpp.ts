/**
 * Installs and loads node-llama-cpp beside the workspace: it is no dependency of anything here.
 * @module
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { repository } from "./processes.ts"

/** Of node-llama-cpp; llama.cpp's own release is told by `llamaCppRelease`. */
export const VERSION = "3.22.1"

/** The packages with the library for processors alone: those for graphics cards are some hundred MB larger. */
const PREBUILT: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "win32-x64": "win-x64",
  "win32-arm64": "win-arm64"
}

/** llama.cpp's own calls, as the library binds them. */
interface Calls {
  readonly initBatch: (tokens: number) => void
  /** `wanted`: indices in the batch of the tokens whose logits are computed. */
  readonly addToBatch: (sequence: number, position: number, ids: Uint32Array, wanted: Uint32Array) => Uint32Array
  /** `llama_decode`, on another thread. */
  readonly decodeBatch: () => Promise<void>
  readonly setThreads: (threads: number) => void
  /** Empties the cache of a sequence. */
  readonly disposeSequence: (sequence: number) => void
}

/** The part of the library that the benchmark uses. */
interface Llama {
  readonly llamaCppRelease: { readonly release: string }
  /** What the variant that was chosen makes use of. */
  readonly systemInfo: string
  readonly dispose: () => Promise<void>
  readonly loadModel: (options: { readonly modelPath: string }) => Promise<{
    readonly fileInfo: {
      readonly metadata: { readonly tokenizer: { readonly ggml: { readonly tokens: ReadonlyArray<string> } } }
    }
    readonly createContext: (options: {
      readonly contextSize: number
      readonly batchSize: number
      readonly threads: number
    }) => Promise<{ readonly _ctx: Calls }>
  }>
}

/** The folder that has it: `SWARM_LLAMACPP` if given, else one in `node_modules/.cache` of the repository. */
const installed = (): string => {
  const folder = process.env.SWARM_LLAMACPP ?? path.join(repository, "node_modules/.cache/swarm-bench", VERSION)
  const manifest = path.join(folder, "node_modules/node-llama-cpp/package.json")
  if (!fs.existsSync(manifest)) {
    const prebuilt = PREBUILT[`${process.platform}-${process.arch}`]
    if (prebuilt === undefined)
      throw new Error(`There is no prebuilt llama.cpp for ${process.platform} on ${process.arch}`)
    process.stderr.write(`installing node-llama-cpp ${VERSION} into ${folder}\n`)
    fs.mkdirSync(folder, { recursive: true })
    execFileSync(
      "npm",
      [
        ...["install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--omit=optional"],
        ...["--prefix", folder, `node-llama-cpp@${VERSION}`, `@node-llama-cpp/${prebuilt}@${VERSION}`]
      ],
      { stdio: ["ignore", "ignore", "inherit"] }
    )
  }
  return path.join(path.dirname(manifest), "dist/index.js")
}

/** Where ggml, the library below it, lies: its core, and the library that chooses among variants for processors. */
export const llamaCppLibraries = (): { readonly path: string; readonly base: string; readonly backends: string } => {
  const packages = path.resolve(path.dirname(installed()), "../..", "@node-llama-cpp")
  const platform = PREBUILT[`${process.platform}-${process.arch}`] ?? ""
  const folder = path.join(packages, platform, "bins", platform)
  const find = (pattern: RegExp) => {
    const name = fs.readdirSync(folder).find((file) => pattern.test(file))
    if (name === undefined) throw new Error(`There is no library ${pattern} in "${folder}"`)
    return name
  }
  return {
    path: folder,
    base: find(/ggml-base\.(?:so|dylib|dll)$/),
    backends: find(/^(?:lib)?ggml(?:\.v[\d.]+)?\.(?:so|dylib|dll)$/)
  }
}

/** llama.cpp on the processor, with the variant that fits it. */
export const loadLlamaCpp = async (threads: number): Promise<Llama> => {
  const { getLlama } = await import(pathToFileURL(installed()).href)
  return getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads })
}
