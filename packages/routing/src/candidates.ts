/**
 * Which announcements may take part in a chain.
 * @module
 */
import type { Announcement, BlockRange } from "@swarm/protocol"
import type { Bans } from "./bans.ts"
import { rateOr } from "./Costs.ts"
import type { LeftOut, RouteRequest } from "./Router.ts"

/** A span that may take part. */
export interface Candidate {
  readonly peer: string
  readonly address: string
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
}

/** @see selectCandidates */
export interface Selection {
  /** In order of preference among equals: longer spans first, then by peer. */
  readonly candidates: ReadonlyArray<Candidate>
  readonly leftOut: ReadonlyArray<LeftOut>
  /** Some of those left out may be tried in need. */
  readonly bannedInNeed: boolean
}

const preference = (a: Candidate, b: Candidate): number => {
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

/**
 * Picks the announcements of the request's model whose whole span lies within the request's blocks.
 * O(announcements), and n log n in those picked.
 *
 * @param inNeed Also those whose failure is long enough ago, whatever is left of their ban: for blocks that nobody else serves.
 */
export const selectCandidates = (
  announcements: Iterable<Announcement>,
  request: RouteRequest,
  bans: Bans,
  now: number,
  inNeed: boolean
): Selection => {
  const candidates: Array<Candidate> = []
  const leftOut: Array<LeftOut> = []
  let bannedInNeed = false
  for (const announcement of announcements) {
    const { peer, blocks } = announcement
    if (announcement.model !== request.model || !isSpan(blocks)) continue
    if (blocks.from < request.blocks.from || blocks.to > request.blocks.to) continue
    const reason = unfit(announcement, request)
    const [address] = announcement.addresses
    if (reason !== undefined || address === undefined) {
      leftOut.push({ peer, reason: reason ?? "has no address", seconds: 0 })
      continue
    }
    const ban = bans.of(peer, now)
    if (ban !== undefined && !(inNeed && ban.strictSeconds === 0)) {
      if (ban.strictSeconds === 0) bannedInNeed = true
      const why = ban.kind === "busy" ? "is busy" : `failed: ${ban.detail}`
      leftOut.push({ peer, reason: why, seconds: ban.strictSeconds })
      continue
    }
    candidates.push({
      peer,
      address,
      blocks,
      digest: announcement.digest,
      decodeRate: announcement.decodeRate,
      prefillRate: announcement.prefillRate,
      queue: rateOr(announcement.queue, 0),
      hasRoom: announcement.freeTokens >= request.tokens,
      banSeconds: ban?.seconds ?? 0
    })
  }
  return { candidates: candidates.sort(preference), leftOut, bannedInNeed }
}
