/**
 * Memory of a process, as Linux tells it.
 * @see https://docs.kernel.org/filesystems/proc.html
 * @module
 */
import * as fs from "node:fs"

/** Megabytes (10^6 bytes). */
export interface Memory {
  /** Pages in memory, with mapped files that other processes use too (Rss). */
  readonly resident: number
  /** Of them without a file behind (Anonymous): what only this process has, and what the machine cannot drop. */
  readonly anonymous: number
  /** Resident, each shared page divided by the number of processes that share it (Pss): adds up over processes. */
  readonly proportional: number
}

/** The most that was ever resident, in megabytes, mapped files included (VmHWM). Throws where there is no `/proc`. */
export const peakOf = (pid: number): number => {
  const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmHWM`)
  return (Number(kibibytes) * 1024) / 1e6
}

/** Throws where there is no `/proc`. */
export const memoryOf = (pid: number): Memory => {
  const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
  const field = (name: string) => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1]
    if (kibibytes === undefined) throw new Error(`/proc/${pid}/smaps_rollup has no ${name}`)
    return (Number(kibibytes) * 1024) / 1e6
  }
  return { resident: field("Rss"), anonymous: field("Anonymous"), proportional: field("Pss") }
}
