/**
 * The heap of the C library, where it is glibc: what it keeps of memory that was freed. Elsewhere nothing happens.
 * @module
 */
import { processFunction } from "./foreign.ts"

/** Blocks from this size on are pages of their own, returned when freed. glibc's own start value. */
const MMAP_THRESHOLD_BYTES = 128 * 1024
const M_MMAP_THRESHOLD = -3

/**
 * Fixes the size from which blocks are returned to the system. Left alone, glibc raises it to 32 MB as large blocks are
 * freed, and each thread of the pool then keeps the largest results that it ever computed.
 */
export const keepHeapSmall = (): void => {
  processFunction("int mallopt(int parameter, int value)")?.(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
}

let trim: (() => void) | undefined

/** Returns what was freed and kept: loading a graph leaves as much as its weights. */
export const trimHeap = (): void => {
  if (trim === undefined) {
    const mallocTrim = processFunction("int malloc_trim(size_t keep)")
    trim = () => mallocTrim?.(0)
  }
  trim()
}
