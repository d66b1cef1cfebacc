/**
 * Servers as child processes: for `demo`, `bench`, and tests that kill.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A `swarm` process that has said that it is ready. */
export interface SwarmProcess {
  readonly pid: number
  /** Where it listens. */
  readonly address: string
  /** The whole line that said so. */
  readonly line: Readonly<Record<string, unknown>>
  readonly kill: (signal?: NodeJS.Signals) => void
  /** Settles when the process has ended. */
  readonly ended: Promise<void>
}

/** A `swarm serve` process that is online. */
export interface ServerProcess {
  readonly pid: number
  readonly address: string
  readonly peer: string
  readonly blocks: readonly [from: number, to: number]
  /** The whole `online` line. */
  readonly online: Readonly<Record<string, unknown>>
  readonly kill: (signal?: NodeJS.Signals) => void
  /** Settles when the process has ended. */
  readonly ended: Promise<void>
}

/** A process ended, or said nothing for too long, before it was ready. `detail`: what it said last. */
export class ServerFailed extends Data.TaggedError("ServerFailed")<{ readonly detail: string }> {
  override get message(): string {
    return `Cannot start a process: ${this.detail}`
  }
}

export interface ServerProcessOptions {
  /** How to start the command: program and first arguments, such as `[process.execPath, "bin/swarm.js"]`. */
  readonly command: readonly [string, ...ReadonlyArray<string>]
  /** Arguments of the command. */
  readonly args: ReadonlyArray<string>
  /** @default 120 */
  readonly timeoutSeconds?: number
}

/** Starts `swarm serve` and waits until it is online. The process ends with the scope, and with this process. */
export const startServer = (options: ServerProcessOptions): Effect.Effect<ServerProcess, ServerFailed, Scope.Scope> =>
  Effect.map(startProcess("serve", "online", options), ({ line, ...process }) => ({
    ...process,
    peer: String(line.peer),
    blocks: line.blocks as [number, number],
    online: line
  }))

/** Starts `swarm rank` for one group. The process ends with the scope, and with this process. */
export const startRank = (options: ServerProcessOptions): Effect.Effect<SwarmProcess, ServerFailed, Scope.Scope> =>
  startProcess("rank", "listening", options)

/** Starts a command and waits until it prints `event`. */
const startProcess = (
  name: string,
  event: string,
  options: ServerProcessOptions
): Effect.Effect<SwarmProcess, ServerFailed, Scope.Scope> =>
  Effect.acquireRelease(spawnCommand(name, options), ({ child, ended }) =>
    Effect.promise(() => {
      child.kill("SIGKILL")
      return ended
    })
  ).pipe(Effect.flatMap((started) => awaitEvent(started, event, options.timeoutSeconds ?? 120)))

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

const spawnCommand = (
  name: string,
  { command: [program, ...first], args }: ServerProcessOptions
): Effect.Effect<Started> =>
  Effect.sync(() => {
    const child = spawn(program, [...first, name, "--json", "--parent", ...args], { stdio: ["pipe", "pipe", "pipe"] })
    child.stdin?.on("error", () => undefined)
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => resolve())
      child.once("error", () => resolve())
    })
    return { child, ended }
  })

const awaitEvent = ({ child, ended }: Started, awaited: string, timeoutSeconds: number) =>
  Effect.async<SwarmProcess, ServerFailed>((resume) => {
    let said = ""
    const fail = (detail: string) => resume(Effect.fail(new ServerFailed({ detail })))
    child.stderr?.on("data", (piece: Buffer) => {
      said = (said + piece.toString()).slice(-2000)
    })
    child.once("error", (error) => fail(error.message))
    void ended.then(() => fail(said.trim().replace(/^swarm: /m, "") || `it ended with code ${child.exitCode}`))
    const timer = setTimeout(() => fail(`it is not ready after ${timeoutSeconds} s`), timeoutSeconds * 1000)
    if (child.stdout === null) return fail("it has no output")
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parseLine(text)
      if (line?.event !== awaited) return
      clearTimeout(timer)
      resume(
        Effect.succeed({
          pid: child.pid ?? 0,
          address: String(line.address),
          line,
          kill: (signal: NodeJS.Signals = "SIGKILL") => {
            child.kill(signal)
          },
          ended
        })
      )
    })
    return Effect.sync(() => clearTimeout(timer))
  })

const parseLine = (line: string): Record<string, unknown> | undefined => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** The command that runs in this very process: the same program, flags and script, so that sources start sources. */
export const ownCommand = (): readonly [string, ...ReadonlyArray<string>] => [
  process.execPath,
  ...process.execArgv,
  process.argv[1] ?? ""
]
