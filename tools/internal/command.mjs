/**
 * Runs one command as a process group, so that nothing of it outlives its step.
 * @module
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { root } from "./workspace.mjs"

/**
 * @typedef {object} Options
 * @property {NodeJS.ProcessEnv} [env] added to the environment of this process
 * @property {string} [cwd] default: the root of the checkout
 * @property {number} [timeoutMs] the group is killed after this time; default: none
 * @property {boolean} [stream] passes the output on while it comes, besides collecting it
 * @property {(text: string) => void} [onOutput] sees each piece of output
 */

/** @typedef {{ readonly code: number, readonly output: string }} Outcome */

/** Process groups that run now: killed when this process is told to stop. @type {Set<number>} */
const groups = new Set()

const windows = process.platform === "win32"

/**
 * @param {number} leader
 * @param {NodeJS.Signals} signal
 */
const signalGroup = (leader, signal) => {
  try {
    process.kill(windows ? leader : -leader, signal)
  } catch {
    // the group is gone
  }
}

/** @param {NodeJS.Signals} signal */
const stop = (signal) => {
  for (const leader of groups) signalGroup(leader, "SIGKILL")
  process.exit(signal === "SIGINT" ? 130 : 143)
}

/**
 * Makes SIGINT and SIGTERM end the running commands before this process: they are groups of their own, which a terminal
 * does not reach.
 * @returns {() => void} takes that back
 */
export const stopGroupsOnSignal = () => {
  process.once("SIGINT", stop).once("SIGTERM", stop)
  return () => void process.off("SIGINT", stop).off("SIGTERM", stop)
}

/**
 * The living members of a process group. Zombies do not count: a container without an init never collects them.
 * @param {number} leader
 */
const members = (leader) => {
  if (windows) return []
  const listing = spawnSync("ps", ["-A", "-o", "pgid=,stat=,pid=,args="], { encoding: "utf8" }).stdout ?? ""
  return listing
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([group, state]) => Number(group) === leader && state !== undefined && !state.startsWith("Z"))
    .map(([, , id, ...args]) => `${id} ${args.join(" ")}`)
}

/**
 * Runs a command to its end. A command that cannot be started, runs out of time or leaves processes behind has failed:
 * code 127, 124 or (if it was 0 otherwise) 125, with a line in the output.
 * @param {string} command
 * @param {ReadonlyArray<string>} args
 * @param {Options} [options]
 * @returns {Promise<Outcome>}
 */
export const run = async (command, args, options = {}) => {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: !windows,
    shell: windows && !command.endsWith(".exe")
  })
  /** @type {Array<Buffer>} */
  const pieces = []
  /** @param {Buffer} piece */
  const take = (piece) => {
    pieces.push(piece)
    if (options.stream) process.stdout.write(piece)
    options.onOutput?.(piece.toString())
  }
  child.stdout.on("data", take)
  child.stderr.on("data", take)
  const leader = child.pid
  if (leader !== undefined) groups.add(leader)
  /** @type {Array<string>} */
  const notes = []
  let late = false
  const timer = options.timeoutMs
    ? setTimeout(() => {
        late = true
        notes.push(`stopped after ${Math.round(options.timeoutMs ?? 0) / 1000} s without an end`)
        if (leader !== undefined) signalGroup(leader, "SIGKILL")
      }, options.timeoutMs)
    : undefined
  const closed = once(child, "close").catch(() => undefined)
  let code = await new Promise((resolve) => {
    child.once("error", (error) => {
      notes.push(error.message)
      resolve(127)
    })
    // a process left behind may hold the pipes open for ever: "exit" does not wait for them, "close" would
    child.once("exit", (status, signal) => resolve(status ?? (signal === null ? 1 : 128)))
  })
  clearTimeout(timer)
  if (leader !== undefined) {
    for (let wait = 0; wait < 8 && members(leader).length > 0; wait++) await sleep(250)
    const left = late ? [] : members(leader)
    for (const one of left) notes.push(`left behind: ${one}`)
    signalGroup(leader, "SIGKILL")
    groups.delete(leader)
    if (left.length > 0 && code === 0) code = 125
  }
  await Promise.race([closed, sleep(1_000, undefined, { ref: false })])
  const output = Buffer.concat(pieces).toString()
  if (options.stream) for (const note of notes) process.stdout.write(`${note}\n`)
  return { code: late ? 124 : code, output: [output.trimEnd(), ...notes].filter((part) => part !== "").join("\n") }
}
