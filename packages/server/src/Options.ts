/**
 * What a server can be told.
 * @module
 */
import type { Span } from "@swarm/compute"
import type { Rates } from "./measure.ts"
import type { SchedulerOptions } from "./Scheduler.ts"

/** The model whose blocks are served. */
export interface ServedModel {
  readonly digest: string
  readonly name: string
  readonly blocks: number
}

export interface ServerOptions {
  readonly model: ServedModel
  /** The span to serve, loaded. A process that serves several runs a server for each. */
  readonly span: Span
  /** Where to listen, such as "ws://127.0.0.1:0". */
  readonly listen: string
  /** Addresses to announce instead of the one listened on. */
  readonly announce?: ReadonlyArray<string>
  /** Greatest length of one session in tokens. */
  readonly maxTokens: number
  /** KV memory of all sessions in bytes. @default room for 16 sessions of `maxTokens` */
  readonly kvBytes?: number
  /** A session without a step for so long is closed. @default 600 */
  readonly idleSeconds?: number
  /** A step that waited so long is given up. @default 60 */
  readonly queueSeconds?: number
  /** Lifetime of an announcement. @default 30 */
  readonly timeToLive?: number
  /** Sessions get so long to end or to move when the server drains. @default 10 */
  readonly drainSeconds?: number
  readonly scheduler?: SchedulerOptions
  /** What the span can do, if it is known. @default it is measured before the server goes online */
  readonly rates?: Rates
  /** Format of the weights, for people, such as "q4_1". @default {not announced} */
  readonly weights?: string
  /** Software version to announce. */
  readonly version?: string
}

export const defaults = {
  idleSeconds: 600,
  queueSeconds: 60,
  timeToLive: 30,
  drainSeconds: 10,
  version: "0.1.0"
} as const
