/**
 * Servers as child processes: for `demo`, `bench`, and tests that kill.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

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

/** A server process ended, or said nothing for too long, before it was online. `detail`: what it said last. */
export class ServerFailed extends Data.TaggedError("ServerFailed")<{ readonly detail: string }> {
  override get message(): string {
    return `Cannot start a server: ${this.detail}`
  }
}

export interface ServerProcessOptions {
  /** How to start the command: program and first arguments, such as `[process.execPath, "bin/swarm.js"]`. */
  readonly command: readonly [string, ...ReadonlyArray<string>]
  /** Arguments of `swarm serve`. */
  readonly args: ReadonlyArray<string>
  /** @default 120 */
  readonly timeoutSeconds?: number
}

/** Starts `swarm serve` and waits until it is online. The process ends with the scope, and with this process. */
export const startServer = (options: ServerProcessOptions): Effect.Effect<ServerProcess, ServerFailed, Scope.Scope> =>
  Effect.acquireRelease(spawnServer(options), ({ child, ended }) =>
    Effect.promise(() => {
      child.kill("SIGKILL")
      return ended
    })
  ).pipe(Effect.flatMap((started) => online(started, options.timeoutSeconds ?? 120)))

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

const spawnServer = ({ command: [program, ...first], args }: ServerProcessOptions): Effect.Effect<Started> =>
  Effect.sync(() => {
    const child = spawn(program, [...first, "serve", "--json", "--parent", ...args], {
      stdio: ["pipe", "pipe", "pipe"]
    })
    child.stdin?.on("error", () => undefined)
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => resolve())
      child.once("error", () => resolve())
    })
    return { child, ended }
  })

const online = ({ child, ended }: Started, timeoutSeconds: number): Effect.Effect<ServerProcess, ServerFailed> =>
  Effect.async<ServerProcess, ServerFailed>((resume) => {
    let said = ""
    const fail = (detail: string) => resume(Effect.fail(new ServerFailed({ detail })))
    child.stderr?.on("data", (piece: Buffer) => {
      said = (said + piece.toString()).slice(-2000)
    })
    child.once("error", (error) => fail(error.message))
    void ended.then(() => fail(said.trim().replace(/^swarm: /m, "") || `it ended with code ${child.exitCode}`))
    const timer = setTimeout(() => fail(`it is not online after ${timeoutSeconds} s`), timeoutSeconds * 1000)
    if (child.stdout === null) return fail("it has no output")
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = parseLine(line)
      if (event?.event !== "online") return
      clearTimeout(timer)
      resume(
        Effect.succeed({
          pid: child.pid ?? 0,
          address: String(event.address),
          peer: String(event.peer),
          blocks: event.blocks as [number, number],
          online: event,
          kill: (signal = "SIGKILL") => {
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
