/**
 * One span with what serves it: budget, scheduler, outlet.
 * @module
 */
import { type KvBudget, makeKvBudget } from "@swarm/cache"
import type { Span } from "@swarm/compute"
import type { Outlet } from "./Outlet.ts"
import type { Scheduler } from "./Scheduler.ts"

export interface Host {
  readonly span: Span
  readonly budget: KvBudget
  readonly scheduler: Scheduler
  readonly outlet: Outlet
}

/** Sessions of the greatest length for which memory is set aside by default. */
const SESSIONS = 16

export const makeBudget = (span: Span, maxTokens: number, kvBytes: number | undefined, idleSeconds: number): KvBudget =>
  makeKvBudget({
    bytesPerToken: span.kvBytesPerToken,
    totalBytes: kvBytes ?? SESSIONS * maxTokens * span.kvBytesPerToken,
    idleSeconds
  })
