/**
 * The instruction set of this processor, as far as kernels and the form of packed weights depend on it.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"

/** Names of extensions, each with the flag of /proc/cpuinfo that tells of it; the first that is present counts. */
const extensions: Readonly<Record<string, ReadonlyArray<readonly [name: string, flag: string]>>> = {
  x64: [
    ["amx", "amx_int8"],
    ["avx512-vnni", "avx512_vnni"],
    ["avx512", "avx512bw"],
    ["avx2-vnni", "avx_vnni"],
    ["avx2", "avx2"],
    ["sse", "sse2"]
  ],
  arm64: [
    ["sme", "sme"],
    ["i8mm", "i8mm"],
    ["dotprod", "asimddp"],
    ["neon", "asimd"]
  ]
}

/** The name for a processor with these flags. */
export const instructionSetOf = (arch: string, flags: ReadonlySet<string>): string | undefined => {
  const found = extensions[arch]?.find(([, flag]) => flags.has(flag))
  return found === undefined ? undefined : `${arch}-${found[0]}`
}

/**
 * The instruction set, such as "x64-avx512-vnni". Where the system does not list flags (macOS, Windows) it is
 * architecture and model, such as "arm64-apple-m2": finer than needed, never wrong.
 */
export const instructionSet = (): string => {
  try {
    const info = fs.readFileSync("/proc/cpuinfo", "utf8")
    const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1] ?? ""
    const name = instructionSetOf(process.arch, new Set(line.split(/\s+/)))
    if (name !== undefined) return name
  } catch {
    // not Linux
  }
  const model = os.cpus()[0]?.model ?? "unknown"
  return `${process.arch}-${model.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`
}
