/**
 * Limits on what a peer may send, each checked before memory is taken for it.
 * @module
 */

/** Bytes of a payload: 512 tokens of f32 at a hidden size of 16384, the widest open models' prefill chunk. */
export const MAX_PAYLOAD = 32 * 1024 * 1024

/** Bytes of an encoded body: {@link MAX_ANNOUNCEMENTS} signed announcements of ordinary length. */
export const MAX_BODY = 1024 * 1024

/** Bytes of a whole frame: prefix, body, padding, payload. Carriers refuse more. */
export const MAX_FRAME = 24 + MAX_BODY + MAX_PAYLOAD

/** UTF-16 units of a string; ids, digests and addresses are far shorter. */
export const MAX_STRING = 1024

/** UTF-16 units of a fault's detail, which may quote a runtime's message. Longer ones are cut, not refused. */
export const MAX_DETAIL = 2048

/** Announcements in one `found`: a directory answers with no more. */
export const MAX_ANNOUNCEMENTS = 1024

/** Bytes of a signed announcement; ordinary ones have 500 to 900. A directory refuses longer ones. */
export const MAX_RECORD = 4096

/** Bytes of the number that each end of a handshake makes up. */
export const NONCE_BYTES = 16

/** Adapters that one server announces. */
export const MAX_ADAPTERS = 64

/** Measured next hops in an announcement: some servers of the blocks that follow. */
export const MAX_NEXT_HOPS = 32

/** Addresses of one peer: its interfaces, relays and names. */
export const MAX_ADDRESSES = 16

/** Protocol versions that a hello may list. */
export const MAX_VERSIONS = 32

/** Blocks of a model: ten times the deepest published ones. */
export const MAX_BLOCKS = 4096

/** Positions and token counts: longer than any context, and a sum of two still fits 32 bits. */
export const MAX_TOKENS = 2 ** 30

/** Levels of nesting in a body; the deepest message has four. */
export const MAX_DEPTH = 8

/** Values in a body, keys included: bounds the memory of a body that is all tiny values. */
export const MAX_VALUES = 64 * MAX_ANNOUNCEMENTS

/** Seconds in any field: a year. */
export const MAX_SECONDS = 366 * 86_400
