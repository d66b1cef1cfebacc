/**
 * One body of every kind.
 * @module
 */
import type { Announcement, Messages } from "@swarm/protocol"

export const announcement: Announcement = {
  peer: "peer-1",
  addresses: ["ws://10.0.0.7:9000", "ws://[::1]:9000"],
  model: "sha256:7f83b165",
  modelName: "SmolLM2 135M",
  modelBlocks: 30,
  blocks: { from: 10, to: 20 },
  state: "online",
  decodeRate: 1234.5,
  prefillRate: 9876.25,
  digest: "d1",
  freeTokens: 2 ** 33,
  maxTokens: 8192,
  sessions: 3,
  queue: 1,
  version: "0.1.0",
  timeToLive: 30,
  codecs: ["f16", "f32"],
  weights: "q4",
  adapters: ["sha256:1"],
  nextHops: [{ peer: "peer-2", roundTrip: 0.025 }]
}

const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i)

const rows = { session: "s-1", epoch: 2, position: 511, tokens: 1, codec: "int8" } as const
const link = {
  next: { kind: "peer", peer: "peer-2", address: "ws://10.0.0.8:9000", session: "s-2" },
  sendFrom: 4,
  journalFrom: -1
} as const

export const samples: Messages = {
  hello: { versions: [2, 1], peer: "peer-1", software: "swarm 0.1.0", address: "ws://10.0.0.7:9000", nonce: bytes(16) },
  welcome: {
    version: 1,
    peer: "peer-2",
    software: "swarm 0.1.0",
    nonce: bytes(16),
    credential: bytes(170),
    signature: bytes(64)
  },
  fault: { kind: "later", code: "cache-full", detail: "no KV memory for 4096 tokens", retryAfter: 0.5 },
  ping: { nonce: 4294967295 },
  pong: { nonce: 0 },
  ok: {},
  announce: { record: bytes(700) },
  find: { model: "" },
  found: {
    announcements: [
      { record: bytes(5), age: 0 },
      { record: bytes(6), age: 1.5, seen: "10.0.0.7" }
    ]
  },
  open: {
    session: "s-1",
    epoch: 0,
    model: "sha256:7f83b165",
    blocks: { from: 0, to: 10 },
    maxTokens: 4096,
    codec: "f16",
    ...link
  },
  opened: { digest: "d1", reproducible: true },
  hold: { session: "s-1", epoch: 3 },
  relink: { session: "s-1", epoch: 3, keep: 12, next: { kind: "client" }, sendFrom: 0, journalFrom: 7 },
  position: { position: 12 },
  step: { ...rows, want: "last" },
  output: rows,
  journal: rows,
  sessionFault: {
    session: "s-1",
    epoch: 2,
    fault: { kind: "elsewhere", code: "next-gone", detail: "größer als erwartet 断", peer: "peer-2" }
  },
  close: { session: "s-1" },
  draining: { session: "s-1", graceSeconds: 20 },
  status: {},
  statusReply: {
    announcement: undefined,
    sessions: 0,
    kvTokens: 0,
    channels: 2,
    uptimeSeconds: 12.25,
    residentBytes: 2 ** 34,
    refused: { forged: 3 }
  },
  proof: { signature: bytes(64) },
  revoked: { list: bytes(81) }
}
