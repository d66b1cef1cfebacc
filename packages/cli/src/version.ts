/**
 * The version of this software.
 * @module
 */
export const version = "0.1.0"
