/**
 * The body of each message, read from a received map: fields of the wrong type or range are refused, unknown ones ignored.
 * @module
 */

import { CREDENTIAL_BYTES, MAX_REVOCATIONS_BYTES, SIGNATURE_BYTES } from "@swarm/identity"
import type { Fault, FaultCode, FaultKind } from "../Fault.ts"
import {
  MAX_ADAPTERS,
  MAX_ADDRESSES,
  MAX_ANNOUNCEMENTS,
  MAX_BLOCKS,
  MAX_BODY,
  MAX_DETAIL,
  MAX_NEXT_HOPS,
  MAX_SECONDS,
  MAX_TOKENS,
  MAX_VERSIONS,
  NONCE_BYTES
} from "../Limits.ts"
import type {
  Announcement,
  Found,
  Hello,
  Kind,
  Link,
  Messages,
  Next,
  NextHop,
  Rows,
  Status,
  Step,
  WireCodec
} from "../Message.ts"
import { ProtocolError } from "../ProtocolError.ts"
import * as Field from "./fields.ts"
import { CODECS, WANTS } from "./rowsBody.ts"

const FAULT_KINDS: ReadonlyArray<FaultKind> = ["elsewhere", "later", "never"]
const FAULT_CODES: ReadonlyArray<FaultCode> = [
  "protocol",
  "version",
  "unauthorized",
  "unknown-session",
  "expired",
  "unknown-model",
  "wrong-blocks",
  "bad-step",
  "gap",
  "too-long",
  "cache-full",
  "overloaded",
  "draining",
  "next-gone",
  "deadline",
  "engine"
]

/**
 * The body of a message of this kind.
 * @throws ProtocolError `body`, naming the field
 */
export const checkBody = <K extends Kind>(kind: K, value: unknown): Messages[K] =>
  READERS[kind](Field.fields(value, kind))

type Readers = { readonly [K in Kind]: (f: Field.Fields) => Messages[K] }

const nothing = (): Record<string, never> => ({})
const nonce = (f: Field.Fields): { readonly nonce: number } => ({ nonce: Field.count(f, "nonce") })

const element =
  (name: string) =>
  (value: unknown): string =>
    Field.id({ [name]: value }, name)
const version = (value: unknown): number => Field.count({ version: value }, "version")
const address = element("address")
const adapter = element("adapters")
const codec = (value: unknown): WireCodec => Field.word({ codecs: value }, "codecs", CODECS)
const nextHop = (value: unknown): NextHop => {
  const f = Field.fields(value, "nextHops")
  return { peer: Field.id(f, "peer"), roundTrip: Field.seconds(f, "roundTrip") }
}

const hello = (f: Field.Fields): Hello => ({
  versions: Field.list(f, "versions", MAX_VERSIONS, version),
  peer: Field.id(f, "peer"),
  software: Field.text(f, "software"),
  ...(Field.has(f, "address") ? { address: Field.id(f, "address") } : {}),
  nonce: nonceBytes(f),
  ...credential(f)
})

const nonceBytes = (f: Field.Fields): Uint8Array => Field.bytes(f, "nonce", NONCE_BYTES, NONCE_BYTES)
const signature = (f: Field.Fields): Uint8Array => Field.bytes(f, "signature", SIGNATURE_BYTES, SIGNATURE_BYTES)
const credential = (f: Field.Fields): { readonly credential?: Uint8Array } =>
  Field.has(f, "credential") ? { credential: Field.bytes(f, "credential", CREDENTIAL_BYTES, CREDENTIAL_BYTES) } : {}

const fault = (f: Field.Fields): Fault => ({
  kind: Field.word(f, "kind", FAULT_KINDS),
  code: Field.word(f, "code", FAULT_CODES),
  detail: Field.cutText(f, "detail", MAX_DETAIL),
  ...(Field.has(f, "retryAfter") ? { retryAfter: Field.seconds(f, "retryAfter") } : {}),
  ...(Field.has(f, "position") ? { position: Field.tokens(f, "position") } : {}),
  ...(Field.has(f, "peer") ? { peer: Field.id(f, "peer") } : {})
})

/**
 * An announcement, read from a map.
 * @throws ProtocolError `body`, naming the field
 */
export const readAnnouncement = (f: Field.Fields): Announcement => {
  const modelBlocks = Field.count(f, "modelBlocks", MAX_BLOCKS)
  const blocks = Field.blocks(f, "blocks")
  if (blocks.to > modelBlocks) {
    throw new ProtocolError("body", `"blocks" must lie in the model's ${modelBlocks}: got ${blocks.from}:${blocks.to}`)
  }
  return {
    peer: Field.id(f, "peer"),
    addresses: Field.list(f, "addresses", MAX_ADDRESSES, address),
    model: Field.id(f, "model"),
    modelName: Field.text(f, "modelName"),
    modelBlocks,
    blocks,
    state: Field.word(f, "state", ["joining", "online", "draining", "offline"]),
    decodeRate: Field.rate(f, "decodeRate"),
    prefillRate: Field.rate(f, "prefillRate"),
    digest: Field.text(f, "digest"),
    freeTokens: Field.real(f, "freeTokens", Number.MAX_SAFE_INTEGER),
    maxTokens: Field.tokens(f, "maxTokens"),
    sessions: Field.count(f, "sessions"),
    queue: Field.count(f, "queue"),
    version: Field.text(f, "version"),
    timeToLive: Field.seconds(f, "timeToLive"),
    ...(Field.has(f, "codecs") ? { codecs: Field.list(f, "codecs", CODECS.length, codec) } : {}),
    ...(Field.has(f, "weights") ? { weights: Field.text(f, "weights") } : {}),
    ...(Field.has(f, "adapters") ? { adapters: Field.list(f, "adapters", MAX_ADAPTERS, adapter) } : {}),
    ...(Field.has(f, "nextHops") ? { nextHops: Field.list(f, "nextHops", MAX_NEXT_HOPS, nextHop) } : {})
  }
}

/** The directory decides what is too long: it counts it. */
const record = (f: Field.Fields): Uint8Array => Field.bytes(f, "record", MAX_BODY)

const found = (value: unknown): Found => {
  const f = Field.fields(value, "announcements")
  return {
    record: record(f),
    age: Field.real(f, "age", MAX_SECONDS),
    ...(Field.has(f, "seen") ? { seen: Field.id(f, "seen") } : {})
  }
}

const next = (f: Field.Fields, name: string): Next => {
  const n = Field.fields(f[name], name)
  return Field.word(n, "kind", ["client", "peer"]) === "client"
    ? { kind: "client" }
    : { kind: "peer", peer: Field.id(n, "peer"), address: Field.id(n, "address"), session: Field.id(n, "session") }
}

const link = (f: Field.Fields): Link => ({
  next: next(f, "next"),
  sendFrom: Field.tokens(f, "sendFrom"),
  journalFrom: f.journalFrom === -1 ? -1 : Field.tokens(f, "journalFrom")
})

/** `position` and `tokens` of rows whose end is a position too. */
const extent = (f: Field.Fields): { readonly position: number; readonly tokens: number } => {
  const position = Field.tokens(f, "position")
  const tokens = Field.someTokens(f, "tokens")
  if (position + tokens > MAX_TOKENS)
    throw new ProtocolError("body", `"position" and "tokens" must end by ${MAX_TOKENS}`)
  return { position, tokens }
}

const rows = (f: Field.Fields): Rows => {
  const { position, tokens } = extent(f)
  return {
    session: Field.id(f, "session"),
    epoch: Field.count(f, "epoch"),
    position,
    tokens,
    codec: Field.word(f, "codec", CODECS)
  }
}

const step = (f: Field.Fields): Step => ({ ...rows(f), want: Field.word(f, "want", WANTS) })

const status = (f: Field.Fields): Status => ({
  announcement: Field.has(f, "announcement")
    ? readAnnouncement(Field.fields(f.announcement, "announcement"))
    : undefined,
  sessions: Field.count(f, "sessions"),
  kvTokens: Field.real(f, "kvTokens", Number.MAX_SAFE_INTEGER),
  channels: Field.count(f, "channels"),
  uptimeSeconds: Field.real(f, "uptimeSeconds", Number.MAX_SAFE_INTEGER),
  residentBytes: Field.real(f, "residentBytes", Number.MAX_SAFE_INTEGER),
  refused: Field.counts(f, "refused")
})

const READERS: Readers = {
  hello,
  welcome: (f) => ({
    version: Field.count(f, "version"),
    peer: Field.id(f, "peer"),
    software: Field.text(f, "software"),
    nonce: nonceBytes(f),
    ...credential(f),
    signature: signature(f)
  }),
  fault,
  ping: nonce,
  pong: nonce,
  ok: nothing,
  announce: (f) => ({ record: record(f) }),
  find: (f) => ({ model: Field.text(f, "model") }),
  found: (f) => ({ announcements: Field.list(f, "announcements", MAX_ANNOUNCEMENTS, found) }),
  open: (f) => ({
    session: Field.id(f, "session"),
    epoch: Field.count(f, "epoch"),
    model: Field.id(f, "model"),
    blocks: Field.blocks(f, "blocks"),
    maxTokens: Field.someTokens(f, "maxTokens"),
    codec: Field.word(f, "codec", CODECS),
    ...link(f)
  }),
  opened: (f) => ({ digest: Field.text(f, "digest"), reproducible: Field.flag(f, "reproducible") }),
  hold: (f) => ({ session: Field.id(f, "session"), epoch: Field.count(f, "epoch") }),
  relink: (f) => ({
    session: Field.id(f, "session"),
    epoch: Field.count(f, "epoch"),
    keep: Field.tokens(f, "keep"),
    ...link(f)
  }),
  position: (f) => ({ position: Field.tokens(f, "position") }),
  step,
  output: rows,
  journal: rows,
  sessionFault: (f) => ({
    session: Field.id(f, "session"),
    epoch: Field.count(f, "epoch"),
    fault: fault(Field.fields(f.fault, "fault"))
  }),
  close: (f) => ({ session: Field.id(f, "session") }),
  draining: (f) => ({ session: Field.text(f, "session"), graceSeconds: Field.seconds(f, "graceSeconds") }),
  status: nothing,
  statusReply: status,
  proof: (f) => ({ signature: signature(f) }),
  revoked: (f) => ({ list: Field.bytes(f, "list", MAX_REVOCATIONS_BYTES) })
}
