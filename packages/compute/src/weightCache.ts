/**
 * The size of the cache of packed weights: who uses a folder, and which folders go.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** Bytes that the cache may take unless `SWARM_CACHE_LIMIT` says otherwise. */
const DEFAULT_LIMIT = 20e9

/**
 * Bytes that packed weights may take on disk: `SWARM_CACHE_LIMIT`, such as 5e9, else 20 GB. Throws `RangeError` for
 * anything but a number of bytes.
 */
export const cacheLimit = (): number => {
  const said = process.env.SWARM_CACHE_LIMIT ?? ""
  if (said.trim() === "") return DEFAULT_LIMIT
  const limit = Number(said)
  if (!(limit >= 0)) throw new RangeError(`SWARM_CACHE_LIMIT is "${said}": give a number of bytes, such as 5e9`)
  return limit
}

const MARK = "use-"

/** Whether a process of this machine lives. */
export const isAlive = (process_: number): boolean => {
  try {
    process.kill(process_, 0)
    return true
  } catch (cause) {
    // not permitted: it is somebody else's
    return (cause as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/**
 * Marks a folder as used by this process, for as long as the process lives, and removes the marks of those that are gone.
 * Before it is read: a folder may go at any time before.
 */
export const markUsed = (folder: string): void => {
  try {
    fs.writeFileSync(path.join(folder, `${MARK}${process.pid}`), "")
    for (const user of users(folder))
      if (!isAlive(user)) fs.rmSync(path.join(folder, `${MARK}${user}`), { force: true })
  } catch {
    // no such folder, or one that cannot be written to and so cannot be removed by us either
  }
}

const users = (folder: string): ReadonlyArray<number> =>
  fs
    .readdirSync(folder)
    .filter((name) => name.startsWith(MARK))
    .map((name) => Number(name.slice(MARK.length)))

const isUsed = (folder: string): boolean => users(folder).some(isAlive)

interface Entry {
  readonly folder: string
  readonly bytes: number
  /** Of the last use, in milliseconds. */
  readonly time: number
}

const entryOf = (folder: string): Entry => {
  let bytes = 0
  let time = 0
  for (const name of fs.readdirSync(folder)) {
    const { size, mtimeMs } = fs.statSync(path.join(folder, name))
    bytes += size
    time = Math.max(time, mtimeMs)
  }
  return { folder, bytes, time }
}

/**
 * Removes folders of `root`, the least recently used first, until the rest is at most `limit` bytes. One that a live process
 * of this machine has marked stays, whatever it takes. Folders whose names begin with a dot are not looked at.
 * @returns the folders that went
 */
export const trimCache = (root: string, limit: number): ReadonlyArray<string> => {
  const entries = fs.readdirSync(root).flatMap((name) => {
    if (name.startsWith(".")) return []
    try {
      return [entryOf(path.join(root, name))]
    } catch {
      return [] // another process was quicker
    }
  })
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
  const gone: Array<string> = []
  for (const { folder, bytes } of entries.sort((a, b) => a.time - b.time)) {
    if (total <= limit) break
    if (!remove(folder)) continue
    total -= bytes
    gone.push(folder)
  }
  return gone
}

/** Removes a folder unless it is used, also by one who marks it meanwhile. */
const remove = (folder: string): boolean => {
  const aside = path.join(path.dirname(folder), `.old-${process.pid}-${path.basename(folder)}`)
  try {
    if (isUsed(folder)) return false
    fs.renameSync(folder, aside)
    if (isUsed(aside)) {
      fs.renameSync(aside, folder)
      return false
    }
    fs.rmSync(aside, { recursive: true, force: true })
    return true
  } catch {
    return false
  }
}
