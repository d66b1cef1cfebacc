/**
 * The command as a process of its own, run from the sources, with a weight cache of its own.
 * @module
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"

const MAIN = path.join(import.meta.dirname, "../src/main.ts")
/** Far beyond what any command here takes: a hang fails the test by name. */
const LIMIT_SECONDS = 120

export const REPOSITORY = path.join(import.meta.dirname, "../../..")
export const TINY = path.join(REPOSITORY, "packages/model/models/tiny")
export const FIXTURES = path.join(REPOSITORY, "test/fixtures")
/** SmolLM2-135M-Instruct in Q4_1, if it has been fetched. */
export const SMOLLM2 = [
  process.env.SWARM_SMOLLM2,
  path.join(os.homedir(), ".cache/swarm/models/SmolLM2-135M-Instruct.Q4_1.gguf")
].find((file) => file !== undefined && fs.existsSync(file))

export type Event = { readonly event: string } & Readonly<Record<string, unknown>>

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The lines of standard output as JSON, for commands with --json. */
  readonly events: () => ReadonlyArray<Event>
}

/** Commands for one file of tests, which share a new folder. `end` kills those still there and removes it. */
export const makeCommands = () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-cli-"))
  const children = new Set<ChildProcess>()

  const start = (args: ReadonlyArray<string>, stdio: StdioOptions = ["pipe", "pipe", "pipe"]): ChildProcess => {
    const child = spawn(process.execPath, ["--import", "tsx", "--conditions=swarm-src", MAIN, ...args], {
      cwd: REPOSITORY,
      env: { ...process.env, SWARM_CACHE: path.join(folder, "cache"), NO_COLOR: "1" },
      stdio
    })
    children.add(child.once("exit", () => children.delete(child)))
    return child
  }

  const end = () => {
    for (const child of children) child.kill("SIGKILL")
    fs.rmSync(folder, { recursive: true, force: true })
  }

  /** Runs a command to its end. */
  const run = (args: ReadonlyArray<string>, input = "", seconds = LIMIT_SECONDS): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const child = start(args)
      let stdout = ""
      let stderr = ""
      child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
        stdout += piece
      })
      child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
        stderr += piece
      })
      const timer = setTimeout(() => {
        child.kill("SIGKILL")
        reject(new Error(`swarm ${args.join(" ")} has not ended after ${seconds} s: ${stderr}`))
      }, seconds * 1000)
      child.stdin?.end(input)
      child.once("close", (code) => {
        clearTimeout(timer)
        const events = () =>
          stdout
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => JSON.parse(line) as Event)
        resolve({ code, stdout, stderr, events })
      })
    })

  /** Starts a command that listens, with --json, and waits until it is online. */
  const listening = (command: "serve" | "bootstrap") => async (args: ReadonlyArray<string>) => {
    const child = start([command, "--json", ...args])
    const events: Array<Event> = []
    let stderr = ""
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      stderr += piece
    })
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
    const online = await new Promise<Event>((resolve, reject) => {
      if (child.stdout === null) return reject(new Error("no output"))
      createInterface({ input: child.stdout }).on("line", (line) => {
        const event = JSON.parse(line) as Event
        events.push(event)
        if (event.event === "online") resolve(event)
      })
      void ended.then((code) => reject(new Error(`swarm ${command} ended with ${code}: ${stderr}`)))
    })
    return {
      online,
      events,
      stderr: () => stderr,
      ended,
      pid: child.pid,
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      address: String(online.address)
    }
  }

  return { folder, start, run, serve: listening("serve"), bootstrap: listening("bootstrap"), end }
}

/** The one sentence on standard error of a command that failed; fails if there is more, or less. */
export const sentenceOf = ({ stdout, stderr }: Ended): string => {
  const [, sentence] = /^swarm: ([^\n]+)\n$/.exec(stderr) ?? []
  if (sentence === undefined || stdout !== "") throw new Error(`not one sentence: ${stdout}${stderr}`)
  return sentence
}
