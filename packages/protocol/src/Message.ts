/**
 * The messages that peers exchange. A frame carries one message: a small header and, for tensors, a raw payload.
 *
 * Two peers keep one channel. Requests carry a number and are answered by exactly one frame of the same number: the
 * reply or a `fault`. Notifications carry 0. The token path (`step`, `output`, `journal`) is notifications only.
 * @module
 */
import type { Fault } from "./Fault.ts"

/** Activation codecs by name; see @swarm/quant. */
export type WireCodec = "f32" | "f16" | "bf16" | "int8" | "dynamic8" | "int4"

/** A contiguous run of blocks [from, to). */
export interface BlockRange {
  readonly from: number
  readonly to: number
}

/** What a server says of itself. Rates are tokens per second through one block. It travels signed: see `encodeRecord`. */
export interface Announcement {
  /** Id of the peer: its public key. */
  readonly peer: string
  /** Addresses to dial, best first. */
  readonly addresses: ReadonlyArray<string>
  /** Digest of the model whose blocks are served. */
  readonly model: string
  /** Name of the model for people. */
  readonly modelName: string
  /** Blocks of the whole model. */
  readonly modelBlocks: number
  readonly blocks: BlockRange
  /** `offline`: it says goodbye, and is forgotten. */
  readonly state: "joining" | "online" | "draining" | "offline"
  readonly decodeRate: number
  readonly prefillRate: number
  /** Fingerprint of this span's results: equal digests are bit-equal replacements. */
  readonly digest: string
  /** KV tokens that new sessions may still reserve. */
  readonly freeTokens: number
  /** Greatest session length in tokens. */
  readonly maxTokens: number
  /** Sessions open and steps waiting. */
  readonly sessions: number
  readonly queue: number
  /** Software version. */
  readonly version: string
  /** Lifetime in seconds, from the moment in which the peer says it. */
  readonly timeToLive: number
  /** Codecs of activations that it takes, best first; absent: f32 and f16. */
  readonly codecs?: ReadonlyArray<WireCodec>
  /** Format of its weights, for people, such as "q4". */
  readonly weights?: string
  /** Digests of adapters that it can apply. */
  readonly adapters?: ReadonlyArray<string>
  /** Round trips that it measured to servers of the blocks that follow. */
  readonly nextHops?: ReadonlyArray<NextHop>
}

/** A measured way from one server to the next. */
export interface NextHop {
  readonly peer: string
  /** Seconds there and back. */
  readonly roundTrip: number
}

/** A signed announcement as a directory passes it on. */
export interface Found {
  /** See `decodeRecord`. */
  readonly record: Uint8Array
  /** Seconds since the peer itself said it, as far as the directory knows. */
  readonly age: number
  /** Host at which the peer was seen when it said it: good for addresses that name loopback or every interface. */
  readonly seen?: string
}

/** Where a hop sends its output: to the next server or back to the client. */
export type Next =
  | { readonly kind: "client" }
  /** `session`: the name of the session at that hop. */
  | { readonly kind: "peer"; readonly peer: string; readonly address: string; readonly session: string }

/** How a hop's output flows on. */
export interface Link {
  readonly next: Next
  /** Output rows before this position are not sent on: the next hop has them or gets them from the client. */
  readonly sendFrom: number
  /** Output rows from this position on are copied to the client's journal; -1: none are. */
  readonly journalFrom: number
}

/** Opens a session on a server. `maxTokens` KV tokens are reserved. `session` is a name of this hop's own, hard to guess. */
export interface Open extends Link {
  readonly session: string
  readonly epoch: number
  readonly model: string
  readonly blocks: BlockRange
  readonly maxTokens: number
  readonly codec: WireCodec
}
/** What the server says to an opened session. */
export interface Opened {
  readonly digest: string
  readonly reproducible: boolean
}

/**
 * Stops a hop for a repair (request; answered by `position`): steps that wait are dropped, a run that is under way ends
 * first, and frames of older epochs are dropped from then on.
 */
export interface Hold {
  readonly session: string
  readonly epoch: number
}
/** Gives a hop its place in the repaired chain (request; answered by `position`). Tokens beyond `keep` are forgotten. */
export interface Relink extends Link {
  readonly session: string
  readonly epoch: number
  readonly keep: number
}
/** Tokens that the hop has in its KV cache. Journal copies of all of them precede this reply on the channel. */
export interface Position {
  readonly position: number
}

/** Activations for a hop; payload: the codec's bytes of f32 (tokens, hidden). */
export interface Step {
  readonly session: string
  readonly epoch: number
  readonly position: number
  readonly tokens: number
  readonly codec: WireCodec
  /** Rows that the client wants back from the last hop: all of the step, or the last one. Passed along the chain. */
  readonly want: "all" | "last"
}
/** Rows from the last hop (`output`) or copies of a hop's output (`journal`) to the client. `position`: of the first row carried. */
export interface Rows {
  readonly session: string
  readonly epoch: number
  readonly position: number
  readonly tokens: number
  readonly codec: WireCodec
}
/** A session failed at a hop, said to the client unasked. */
export interface SessionFault {
  readonly session: string
  readonly epoch: number
  readonly fault: Fault
}

/** The first message of who dials: says who is there and what it speaks. */
export interface Hello {
  /** Versions of the protocol that the sender speaks. */
  readonly versions: ReadonlyArray<number>
  readonly peer: string
  readonly software: string
  /** Present if the sender serves: where it can be dialled. */
  readonly address?: string
  /** {@link NONCE_BYTES} made up for this handshake: the welcome's signature must cover them. */
  readonly nonce: Uint8Array
  /** In a private swarm: what allows the sender to be here. See `@swarm/identity`. */
  readonly credential?: Uint8Array
}
/** The answer to a hello: the version that both will speak. */
export interface Welcome {
  readonly version: number
  readonly peer: string
  readonly software: string
  readonly nonce: Uint8Array
  readonly credential?: Uint8Array
  /** Of the sender over both nonces and both ids. */
  readonly signature: Uint8Array
}
/** The last word of the handshake, from who dialled. Nothing else is heard before it. */
export interface Proof {
  /** Of the sender over both nonces and both ids. */
  readonly signature: Uint8Array
}

/** A server's own state, for `swarm status` and tests of leaks. */
export interface Status {
  readonly announcement: Announcement | undefined
  readonly sessions: number
  readonly kvTokens: number
  readonly channels: number
  readonly uptimeSeconds: number
  readonly residentBytes: number
  /** Announcements that were refused, by reason. */
  readonly refused: Readonly<Record<string, number>>
}

/** Every message: its kind on the wire and its body. */
export interface Messages {
  readonly hello: Hello
  readonly welcome: Welcome
  readonly fault: Fault
  readonly ping: { readonly nonce: number }
  readonly pong: { readonly nonce: number }
  /** Tells a directory of the sender (request; answered by `ok`). `record`: see `encodeRecord`. */
  readonly announce: { readonly record: Uint8Array }
  readonly ok: Record<string, never>
  /** Asks for the announcements of a model ("" = all) that a peer knows, its own included. */
  readonly find: { readonly model: string }
  readonly found: { readonly announcements: ReadonlyArray<Found> }
  readonly open: Open
  readonly opened: Opened
  readonly hold: Hold
  readonly relink: Relink
  readonly position: Position
  readonly step: Step
  readonly output: Rows
  readonly journal: Rows
  readonly sessionFault: SessionFault
  /** Ends a session and frees its KV (request; answered by `ok`, also if it is unknown). */
  readonly close: { readonly session: string }
  /** The server will stop: sessions should move now; it serves them until `graceSeconds` are over. */
  readonly draining: { readonly session: string; readonly graceSeconds: number }
  readonly status: Record<string, never>
  readonly statusReply: Status
  readonly proof: Proof
  /** The authority of a private swarm took invites back; passed on by everybody to whom it is new. */
  readonly revoked: { readonly list: Uint8Array }
}
/** Name of a message. */
export type Kind = keyof Messages

/** Requests and the reply that each expects; a `fault` of the same number may come instead. */
export interface Replies {
  readonly hello: "welcome"
  readonly ping: "pong"
  readonly announce: "ok"
  readonly find: "found"
  readonly open: "opened"
  readonly hold: "position"
  readonly relink: "position"
  readonly close: "ok"
  readonly status: "statusReply"
}
/** Name of a message that is answered. */
export type RequestKind = keyof Replies
/** Name of a message that answers. */
export type ReplyKind = Replies[RequestKind] | "fault"

/** {@link Replies} as a value. */
export const REPLIES: Replies = {
  hello: "welcome",
  ping: "pong",
  announce: "ok",
  find: "found",
  open: "opened",
  hold: "position",
  relink: "position",
  close: "ok",
  status: "statusReply"
}

const replies: ReadonlySet<Kind> = new Set<Kind>([...Object.values(REPLIES), "fault"])

/** Whether `kind` answers a request. Both ends number their own requests: the kind says whose number a frame carries. */
export const isReply = (kind: Kind): kind is ReplyKind => replies.has(kind)
