/**
 * Child processes that print JSON lines, and that end with this one.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { createInterface } from "node:readline"

export const repository = path.join(import.meta.dirname, "../..")

/** Runs a TypeScript file from the sources. */
export const fromSources = [process.execPath, "--import", "tsx", "--conditions=swarm-src"] as const

/** `swarm` as `npm run setup` has built it. Says so on stderr if the sources have changed since. */
export const command = (): readonly [string, string] => {
  const script = path.join(repository, "packages/cli/bin/swarm.js")
  if (!fs.existsSync(path.join(repository, "packages/cli/dist/main.js")))
    throw new Error("The command is not built: run npm run setup")
  if (!warned) warnOfOldBuilds()
  warned = true
  return [process.execPath, script]
}
let warned = false

/** Names the packages whose build is older than their sources. */
const warnOfOldBuilds = (): void => {
  const packages = path.join(repository, "packages")
  const newest = (folder: string): number => {
    if (!fs.existsSync(folder)) return 0
    const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    return Math.max(0, ...files.map((file) => fs.statSync(path.join(folder, file))).map(timeOfFile))
  }
  const names = fs.readdirSync(packages).filter((name) => {
    const built = newest(path.join(packages, name, "dist"))
    return built > 0 && newest(path.join(packages, name, "src")) > built
  })
  if (names.length > 0)
    process.stderr.write(`The build is older than the sources of ${names.join(", ")}: npm run setup builds anew\n`)
}

const timeOfFile = (stat: fs.Stats): number => (stat.isFile() ? stat.mtimeMs : 0)

export type Line = Readonly<Record<string, unknown>>

/** A program that runs. */
export interface Child {
  readonly pid: number
  readonly send: (text: string) => void
  /** The next JSON line that it prints. Rejects when it ends instead, with what it said on stderr. */
  readonly line: () => Promise<Line>
  /** All lines until it ends. Rejects unless it ends with code 0. */
  readonly lines: () => Promise<Array<Line>>
  readonly kill: () => void
  /** Settles when the process has ended. */
  readonly ended: Promise<unknown>
}

const running = new Set<ChildProcess>()
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1]
] as const)
  process.once(signal, () => process.exit(128 + number))

/** Starts a program. Lines that are not JSON objects are passed over. It is killed when this process ends, however. */
export const start = (program: string, args: ReadonlyArray<string>, environment: NodeJS.ProcessEnv = {}): Child => {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...environment } })
  running.add(child)
  let said = ""
  child.stderr.on("data", (piece: Buffer) => {
    said = (said + piece.toString()).slice(-2000)
  })
  child.stdin.on("error", () => undefined)
  const ended = new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message))
    child.once("close", (code, signal) => {
      running.delete(child)
      resolve(code ?? signal ?? "?")
    })
  })
  const printed = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<Line | undefined> => {
    for (let { value, done } = await printed.next(); done !== true; { value, done } = await printed.next())
      if (value.startsWith("{")) return JSON.parse(value)
    return undefined
  }
  const failure = async () => new Error(`${path.basename(args[0] ?? program)} ended (${await ended}): ${said.trim()}`)
  return {
    pid: child.pid ?? 0,
    send: (text) => child.stdin.write(text),
    line: async () => {
      const line = await next()
      if (line === undefined) throw await failure()
      return line
    },
    lines: async () => {
      const lines: Array<Line> = []
      for (let line = await next(); line !== undefined; line = await next()) lines.push(line)
      if ((await ended) !== 0) throw await failure()
      return lines
    },
    kill: () => child.kill("SIGKILL"),
    ended
  }
}

/** Tokens per second of each repetition: `pp` of a prompt, `tg` of generation. */
export interface Rates {
  readonly pp: ReadonlyArray<number>
  readonly tg: ReadonlyArray<number>
}

/** From lines in the manner of llama-bench: `{"test":"pp512","tokensPerSecond":…}`. */
export const ratesOf = (lines: ReadonlyArray<Line>): Rates => {
  const of = (prefix: string) =>
    lines.filter(({ test }) => String(test).startsWith(prefix)).map(({ tokensPerSecond }) => Number(tokensPerSecond))
  return { pp: of("pp"), tg: of("tg") }
}

/** `swarm bench --json` with the arguments. */
export const swarmBench = async (...args: ReadonlyArray<string>): Promise<Rates> => {
  const [program, script] = command()
  return ratesOf(await start(program, [script, "bench", "--json", ...args]).lines())
}
