/**
 * `swarm serve` processes.
 * @module
 */
import { Effect } from "effect"
import { type Child, command, type Line, start } from "./processes.ts"

/** A server that is online. */
export interface Server {
  readonly pid: number
  readonly address: string
  readonly peer: string
  readonly blocks: readonly [from: number, to: number]
  /** From the start of the process to its `online` line. */
  readonly seconds: number
  /** Bytes of packed weights, and of KV per token of a session. */
  readonly weightBytes: number
  readonly kvBytesPerToken: number
  /** SIGKILL. */
  readonly kill: () => void
  /** Settles when the process has ended. */
  readonly ended: Promise<unknown>
}

/** What a server serves, whom it joins, and what it finds in its environment. */
export interface ServerRequest {
  readonly model: string
  readonly blocks: readonly [from: number, to: number]
  readonly join?: ReadonlyArray<string>
  readonly environment?: NodeJS.ProcessEnv
}

/** Starts a server and waits until it is online. It is killed with the scope, which waits for its end. */
export const startServer = ({ model, blocks, join = [], environment }: ServerRequest) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [program, script] = command()
      const [from, to] = blocks
      return {
        began: performance.now(),
        child: start(
          program,
          [
            ...[script, "serve", "--json", "--parent", "--model", model, "--blocks", `${from}:${to}`],
            ...join.flatMap((address) => ["--join", address])
          ],
          environment
        )
      }
    }),
    ({ child }) =>
      Effect.promise(() => {
        child.kill()
        return child.ended
      })
  ).pipe(Effect.flatMap(({ began, child }) => Effect.promise(() => online(child, blocks, began))))

/** Starts a server for each of the spans, all at once after the first, which is the directory of the others. */
export const startServers = (model: string, spans: ReadonlyArray<readonly [from: number, to: number]>) =>
  Effect.gen(function* () {
    const [one = [0, 0], ...rest] = spans
    const first = yield* startServer({ model, blocks: one })
    const others = yield* Effect.forEach(rest, (blocks) => startServer({ model, blocks, join: [first.address] }), {
      concurrency: "unbounded"
    })
    return [first, ...others]
  })

const online = async (child: Child, blocks: readonly [number, number], began: number): Promise<Server> => {
  let line: Line = {}
  while (line.event !== "online") line = await child.line()
  return {
    pid: child.pid,
    address: String(line.address),
    peer: String(line.peer),
    blocks,
    seconds: (performance.now() - began) / 1000,
    weightBytes: Number(line.weightBytes),
    kvBytesPerToken: Number(line.kvBytesPerToken),
    kill: child.kill,
    ended: child.ended
  }
}
