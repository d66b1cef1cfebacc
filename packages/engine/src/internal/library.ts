/**
 * Where the ONNX Runtime library of the `onnxruntime-node` package lies.
 * @module
 */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"

const require = createRequire(import.meta.url)

const isLibrary: Readonly<Record<string, RegExp>> = {
  linux: /^libonnxruntime\.so/,
  darwin: /^libonnxruntime\..*dylib$/,
  win32: /^onnxruntime\.dll$/
}

/** The absolute path of the shared library for this platform. Throws `Error` where the package ships none. */
export const libraryPath = (): string => {
  const root = path.join(path.dirname(require.resolve("onnxruntime-node/package.json")), "bin")
  const platform = path.join(process.platform, process.arch)
  for (const abi of fs.readdirSync(root)) {
    const folder = path.join(root, abi, platform)
    const name = fs.existsSync(folder)
      ? fs.readdirSync(folder).find((file) => isLibrary[process.platform]?.test(file))
      : undefined
    if (name !== undefined) return path.join(folder, name)
  }
  throw new Error(`onnxruntime-node has no library for ${process.platform} ${process.arch}`)
}

/** The version of the installed runtime, such as "1.30.0". */
export const libraryVersion = (): string => {
  const { version } = require("onnxruntime-node/package.json") as { readonly version: string }
  return version
}
