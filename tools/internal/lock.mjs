/**
 * One setup at a time in a checkout: a lock file that a dead holder cannot keep.
 * @module
 */
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import os from "node:os"
import { setTimeout as sleep } from "node:timers/promises"

/** The holder touches its file this often. */
const touchEveryMs = 2_000

/** A file that nobody touched for this long has no holder, wherever that holder ran. */
const staleAfterMs = 60_000

/** @param {string} file */
const read = (file) => {
  try {
    return { text: readFileSync(file, "utf8"), ageMs: Date.now() - statSync(file).mtimeMs }
  } catch {
    return undefined
  }
}

/** @param {{ text: string, ageMs: number }} lock */
const isStale = (lock) => {
  if (lock.ageMs > staleAfterMs) return true
  const [host, id] = lock.text.split(" ")
  if (host !== os.hostname()) return false
  try {
    process.kill(Number(id), 0)
    return false
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "ESRCH"
  }
}

/**
 * Runs `body` while holding the lock `file`; waits for another holder as long as that one lives.
 * @template A
 * @param {string} file
 * @param {() => void} onWait called once if another process holds the lock
 * @param {() => Promise<A>} body
 * @returns {Promise<A>}
 */
export const withLock = async (file, onWait, body) => {
  const mine = `${os.hostname()} ${process.pid} ${Math.random().toString(36).slice(2)}\n`
  for (let told = false; ; ) {
    try {
      writeFileSync(file, mine, { flag: "wx" })
      break
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error
    }
    const other = read(file)
    // an empty file is one that its holder is about to fill
    if (other !== undefined && (other.text !== "" || other.ageMs > staleAfterMs) && isStale(other)) {
      const aside = `${file}.${process.pid}`
      try {
        // of several processes that saw the same dead holder, one moves its file; who moved a living one's puts it back
        renameSync(file, aside)
        if (read(aside)?.text === other.text) rmSync(aside, { force: true })
        else renameSync(aside, file)
      } catch {
        // another process was first
      }
      continue
    }
    if (!told) onWait()
    told = true
    await sleep(300)
  }
  const touch = setInterval(() => {
    const now = new Date()
    try {
      utimesSync(file, now, now)
    } catch {
      // removed by hand: the work goes on, the next setup sees a fresh state
    }
  }, touchEveryMs)
  const release = () => {
    if (read(file)?.text === mine) rmSync(file, { force: true })
  }
  process.once("exit", release)
  try {
    return await body()
  } finally {
    clearInterval(touch)
    process.off("exit", release)
    release()
  }
}
