/**
 * Starts the worker of the binding layer and keeps account of its requests.
 * @module
 */
import { once } from "node:events"
import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import type { Loaded, Reply, Request } from "./bindingProtocol.ts"
import { disableTelemetry } from "./telemetry.ts"

type Asked = Extract<Request, { readonly id: number }>
/** A request before it has a number. */
type Question = Asked extends infer A ? (A extends Asked ? Omit<A, "id"> : never) : never

/** The worker as the layer sees it. */
export interface BindingWorker {
  /** Sends a request that has no answer. */
  readonly tell: (request: Extract<Request, { readonly kind: "tensor" | "free" }>) => void
  /** Sends a request; resolves to its number and, for `load`, the names. Rejects with `Error`: the runtime's message. */
  readonly ask: (question: Question) => Promise<{ readonly id: number; readonly loaded: Loaded | undefined }>
  /** Waits for what was asked, then ends the worker. It is never terminated: during a run that would end the process. */
  readonly close: () => Promise<void>
}

interface Pending {
  readonly resolve: (answer: { readonly id: number; readonly loaded: Loaded | undefined }) => void
  readonly reject: (error: Error) => void
}

/** Built, the worker is a file of JavaScript beside this one; run from sources, TypeScript that needs `tsx` to load. */
const spawn = (): Worker => {
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL("./bindingWorker.js", import.meta.url))
  const url = new URL("./bindingWorker.ts", import.meta.url).href
  const root = path.dirname(createRequire(import.meta.url).resolve("tsx/package.json"))
  const tsx = pathToFileURL(path.join(root, "dist/esm/api/index.mjs")).href
  const script = `import(${JSON.stringify(tsx)}).then((tsx) => { tsx.register(); return import(${JSON.stringify(url)}) })`
  return new Worker(script, { eval: true, execArgv: [] })
}

/** Starts the worker. Rejects if the binding cannot be loaded. */
export const startWorker = async (): Promise<BindingWorker> => {
  disableTelemetry()
  const worker = spawn()
  const pending = new Map<number, Pending>()
  let next = 0
  let failure: Error | undefined
  let ready = (): void => undefined
  const fail = (error: Error): void => {
    failure ??= error
    for (const { reject } of pending.values()) reject(failure)
    pending.clear()
  }
  const started = new Promise<void>((resolve, reject) => {
    ready = resolve
    worker.once("error", reject)
    worker.once("exit", () => reject(new Error("the worker has ended")))
  })
  worker.on("error", fail)
  worker.on("exit", () => fail(new Error("the worker has ended")))
  worker.on("message", (reply: Reply) => {
    if (reply.kind === "ready") return ready()
    const request = pending.get(reply.id)
    pending.delete(reply.id)
    if (reply.kind === "done") request?.resolve({ id: reply.id, loaded: reply.loaded })
    else request?.reject(new Error(reply.detail))
  })
  await started
  const post = (request: Request): void => worker.postMessage(request)
  return {
    tell: (request) => {
      if (failure === undefined) post(request)
    },
    ask: (question) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) return reject(failure)
        const id = next++
        pending.set(id, { resolve, reject })
        post({ ...question, id })
      }),
    close: async () => {
      if (failure !== undefined) return
      const exit = once(worker, "exit")
      post({ kind: "close" })
      await exit
    }
  }
}
