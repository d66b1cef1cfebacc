/**
 * What rank 0 tells the other ranks of a group: which caches to hold and what to run.
 *
 * A command is a message of the group's communicator. Its tag says which; words are u32, little-endian.
 *
 * | tag | words | then |
 * | --- | --- | --- |
 * | `load` | sessions | |
 * | `open` | slot, capacity | |
 * | `free` | slot | |
 * | `run` | rows, sessions, then slot, position, tokens for each session | x: f32 (rows, hidden) |
 * | `end` | | |
 *
 * @module
 */

/** Tags are beyond those of the codecs that collectives use. */
const tags = { load: 128, open: 129, free: 130, run: 131, end: 132 } as const

/** One session's part of a run. */
export interface RankStep {
  readonly slot: number
  readonly position: number
  readonly tokens: number
}

export type RankCommand =
  | { readonly kind: "load"; readonly sessions: number }
  | { readonly kind: "open"; readonly slot: number; readonly capacity: number }
  | { readonly kind: "free"; readonly slot: number }
  /** `x`: the rows that anybody will read of; others are copies of the last one. */
  | { readonly kind: "run"; readonly steps: ReadonlyArray<RankStep>; readonly x: Float32Array }
  | { readonly kind: "end" }

/** Most sessions in one run. */
const MAX_SESSIONS = 64

/** Bytes of a `run` command. */
export const runBytes = (sessions: number, rows: number, hiddenSize: number): number =>
  4 * (2 + 3 * sessions + rows * hiddenSize)

/** Fresh bytes, and the tag to send them with. */
export const encodeCommand = (
  command: RankCommand,
  hiddenSize: number
): { readonly tag: number; readonly payload: Uint8Array } => {
  const words = wordsOf(command, hiddenSize)
  const x = command.kind === "run" ? command.x : new Float32Array(0)
  const payload = new Uint8Array(4 * (words.length + x.length))
  const view = new DataView(payload.buffer)
  words.forEach((word, i) => {
    view.setUint32(4 * i, word, true)
  })
  payload.set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), 4 * words.length)
  return { tag: tags[command.kind], payload }
}

const wordsOf = (command: RankCommand, hiddenSize: number): ReadonlyArray<number> => {
  switch (command.kind) {
    case "load":
      return [command.sessions]
    case "open":
      return [command.slot, command.capacity]
    case "free":
      return [command.slot]
    case "run": {
      const steps = command.steps.flatMap(({ slot, position, tokens }) => [slot, position, tokens])
      return [command.x.length / hiddenSize, command.steps.length, ...steps]
    }
    case "end":
      return []
  }
}

/** The command, or undefined for what none is. `x` is a copy. */
export const decodeCommand = (tag: number, payload: Uint8Array, hiddenSize: number): RankCommand | undefined => {
  if (payload.length % 4 !== 0) return undefined
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const count = payload.length / 4
  const word = (at: number): number => view.getUint32(4 * at, true)
  switch (tag) {
    case tags.load:
      return count === 1 ? { kind: "load", sessions: word(0) } : undefined
    case tags.open:
      return count === 2 ? { kind: "open", slot: word(0), capacity: word(1) } : undefined
    case tags.free:
      return count === 1 ? { kind: "free", slot: word(0) } : undefined
    case tags.end:
      return count === 0 ? { kind: "end" } : undefined
    case tags.run: {
      if (count < 2) return undefined
      const [rows, sessions] = [word(0), word(1)]
      if (sessions > MAX_SESSIONS || payload.length !== runBytes(sessions, rows, hiddenSize)) return undefined
      const steps = Array.from({ length: sessions }, (_, i) => ({
        slot: word(2 + 3 * i),
        position: word(3 + 3 * i),
        tokens: word(4 + 3 * i)
      }))
      const x = new Float32Array(rows * hiddenSize)
      new Uint8Array(x.buffer).set(payload.subarray(payload.length - x.byteLength))
      return { kind: "run", steps, x }
    }
    default:
      return undefined
  }
}
