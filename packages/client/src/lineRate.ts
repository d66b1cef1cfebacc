/**
 * The speed of a line, by rows that are sent anyway.
 * @module
 */

/** Fewer bytes than these say nothing of a line: they pass within the noise of a round trip. */
export const LEAST_BYTES = 65_536

/** Nothing is quicker, in seconds: what a busy process takes to notice an answer. */
const RESOLUTION = 0.001

/**
 * Bytes per second of the line that `bytes` went over, where the answer to a message sent right behind them took `seconds`, and
 * takes `roundTrip` seconds without them; undefined if they are too few to tell. A lower bound where the other end is busy.
 */
export const lineRate = (bytes: number, seconds: number, roundTrip: number): number | undefined =>
  bytes < LEAST_BYTES || !(seconds >= 0 && roundTrip >= 0)
    ? undefined
    : bytes / Math.max(seconds - roundTrip, RESOLUTION)
