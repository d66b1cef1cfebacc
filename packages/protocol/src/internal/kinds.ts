/**
 * Numbers of the messages on the wire. They never change meaning; new ones are appended.
 * @module
 */
import type { Kind } from "../Message.ts"

const NUMBERS: { readonly [K in Kind]: number } = {
  hello: 1,
  welcome: 2,
  fault: 3,
  ping: 4,
  pong: 5,
  ok: 6,
  announce: 7,
  find: 8,
  found: 9,
  open: 10,
  opened: 11,
  hold: 12,
  relink: 13,
  position: 14,
  step: 15,
  output: 16,
  journal: 17,
  sessionFault: 18,
  close: 19,
  draining: 20,
  status: 21,
  statusReply: 22,
  proof: 23,
  revoked: 24
}

const KINDS: Array<Kind | undefined> = []
for (const kind of Object.keys(NUMBERS) as Array<Kind>) KINDS[NUMBERS[kind]] = kind

/** Number of a kind. */
export const numberOf = (kind: Kind): number => NUMBERS[kind]

/** Kind of a number, if there is one. */
export const kindOf = (number: number): Kind | undefined => KINDS[number]
