/**
 * Which announcements may take part in a chain.
 * @module
 */
import type { Announcement, BlockRange } from "@swarm/protocol"
import type { Ban, Bans } from "./bans.ts"
import { rateOr } from "./Costs.ts"
import type { LeftOut, RouteRequest } from "./Router.ts"

/** A span that may take part. */
export interface Candidate {
  readonly peer: string
  readonly address: string
  /** Those that may be used: within the blocks of the request. */
  readonly blocks: BlockRange
  readonly digest: string
  /** Tokens per second through one block; 0 if not known. */
  readonly decodeRate: number
  readonly prefillRate: number
  /** Steps that wait there. */
  readonly queue: number
  /** It has the KV memory that the session needs. */
  readonly hasRoom: boolean
  /** Seconds left of a ban that is overlooked because nobody else serves these blocks. */
  readonly banSeconds: number
  /** How many times slower than it says it was seen to be, if it was demoted for that; else 1. */
  readonly slowdown: number
}

/** @see selectCandidates */
export interface Selection {
  /** In order of preference among equals: longer spans first, then by peer. */
  readonly candidates: ReadonlyArray<Candidate>
  readonly leftOut: ReadonlyArray<LeftOut>
  /** Some of those left out may be tried in need. */
  readonly bannedInNeed: boolean
}

/** Order among equals: longer spans first, then by peer. Negative if `a` comes first. */
export const preference = (a: Candidate, b: Candidate): number => {
  const length = b.blocks.to - b.blocks.from - (a.blocks.to - a.blocks.from)
  if (length !== 0) return length
  if (a.peer !== b.peer) return a.peer < b.peer ? -1 : 1
  return a.blocks.from - b.blocks.from
}

const isSpan = ({ from, to }: BlockRange): boolean =>
  Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 <= from && from < to

/** Why an announcement cannot be used, apart from bans. */
const unfit = (announcement: Announcement, request: RouteRequest): string | undefined => {
  if (request.exclude?.includes(announcement.peer)) return "is excluded"
  if (announcement.state !== "online") return `is ${announcement.state}`
  if (announcement.addresses[0] === undefined) return "has no address"
  if (announcement.maxTokens < request.tokens) return `holds at most ${announcement.maxTokens} tokens a session`
  return undefined
}

/** The blocks of a span that a chain over `blocks` may use: all or none of them, or with `partial` those in both. */
const usable = (span: BlockRange, blocks: BlockRange, partial: boolean): BlockRange | undefined => {
  if (span.from >= blocks.from && span.to <= blocks.to) return span
  const part = { from: Math.max(span.from, blocks.from), to: Math.min(span.to, blocks.to) }
  return partial && part.from < part.to ? part : undefined
}

/** What a request makes of one announcement: undefined if it does not concern the request's blocks. */
export type Verdict =
  | { readonly _tag: "Candidate"; readonly candidate: Candidate }
  /** `inNeed`: it may be tried where nobody else serves its blocks. `isBanned`: that ends by itself. */
  | { readonly _tag: "LeftOut"; readonly leftOut: LeftOut; readonly inNeed: boolean; readonly isBanned: boolean }

/**
 * Judges one announcement.
 *
 * @param inNeed Admit a peer whose failure is long enough ago, whatever is left of its ban: for blocks that nobody else
 *   serves.
 */
export const judge = (
  announcement: Announcement,
  request: RouteRequest,
  ban: Ban | undefined,
  inNeed: boolean,
  slowdown = 1
): Verdict | undefined => {
  const { peer } = announcement
  if (announcement.model !== request.model || !isSpan(announcement.blocks)) return undefined
  const blocks = usable(announcement.blocks, request.blocks, request.partial === true)
  if (blocks === undefined) return undefined
  const reason = unfit(announcement, request)
  const [address] = announcement.addresses
  if (reason !== undefined || address === undefined) {
    return {
      _tag: "LeftOut",
      leftOut: { peer, reason: reason ?? "has no address", seconds: 0 },
      inNeed: false,
      isBanned: false
    }
  }
  if (ban !== undefined && !(inNeed && ban.strictSeconds === 0)) {
    const why = ban.kind === "busy" ? "is busy" : `failed: ${ban.detail}`
    const leftOut = { peer, reason: why, seconds: ban.strictSeconds }
    return { _tag: "LeftOut", leftOut, inNeed: ban.strictSeconds === 0, isBanned: true }
  }
  const candidate = {
    peer,
    address,
    blocks,
    digest: announcement.digest,
    decodeRate: announcement.decodeRate,
    prefillRate: announcement.prefillRate,
    queue: rateOr(announcement.queue, 0),
    hasRoom: announcement.freeTokens >= request.tokens,
    banSeconds: ban?.seconds ?? 0,
    slowdown
  }
  return { _tag: "Candidate", candidate }
}

/**
 * Picks the announcements of the request's model whose whole span lies within the request's blocks; with `partial`,
 * those that share blocks with it. O(announcements), and n log n in those picked.
 */
export const selectCandidates = (
  announcements: Iterable<Announcement>,
  request: RouteRequest,
  bans: Bans,
  now: number,
  inNeed: boolean,
  slowdownOf?: (peer: string) => number
): Selection => {
  const candidates: Array<Candidate> = []
  const leftOut: Array<LeftOut> = []
  let bannedInNeed = false
  for (const announcement of announcements) {
    const { peer } = announcement
    const verdict = judge(announcement, request, bans.of(peer, now), inNeed, slowdownOf?.(peer))
    if (verdict?._tag === "Candidate") candidates.push(verdict.candidate)
    else if (verdict !== undefined) {
      leftOut.push(verdict.leftOut)
      bannedInNeed ||= verdict.inNeed
    }
  }
  return { candidates: candidates.sort(preference), leftOut, bannedInNeed }
}
