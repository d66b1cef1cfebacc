/**
 * Limits of channels and connections.
 * @module
 */
import { MAX_FRAME } from "@swarm/protocol"

/** Messages that wait on a channel for its first receiver. */
export const MAX_WAITING_MESSAGES = 1024

/** Bytes that wait on a channel for its first receiver: one greatest frame and then some. */
export const MAX_WAITING_BYTES = 2 * MAX_FRAME

/** Frames that wait on a connection for its first receiver. */
export const MAX_WAITING_FRAMES = 1024

/** Bytes that may wait to be sent to one peer: four greatest frames. Beyond it the peer does not read. */
export const MAX_BUFFERED = 4 * MAX_FRAME

/** Channels that a listener holds at once, those still in their handshake included. */
export const MAX_CHANNELS = 1024

/** Seconds until hello and welcome must have been exchanged; a channel without them is closed. */
export const HELLO_SECONDS = 5

/** Seconds until a dial's carrier must stand. */
export const DIAL_SECONDS = 5

/** Seconds that a closing socket gets to say goodbye before it is cut. */
export const GRACE_SECONDS = 0.25
