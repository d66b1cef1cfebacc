/**
 * Memory straight from the operating system: zero, untouched until used, and given back when freed.
 *
 * The allocator of the C library promises none of the three for a block that it has recycled.
 * @module
 */
import { loadLibrary } from "./foreign.ts"
import type { Pointer } from "./ort.ts"

/** A range of pages. */
export interface Pages {
  readonly address: Pointer
  /** Gives the pages back. Once. */
  readonly free: () => void
}

type Reserve = (bytes: number) => Pages

const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = process.platform === "darwin" ? 0x1002 : 0x22
/** Linux: no promise of swap is needed for pages that may never be touched. */
const MAP_NORESERVE = process.platform === "linux" ? 0x4000 : 0
const MADV_NOHUGEPAGE = 15
const MEM_COMMIT_RESERVE = 0x3000
const PAGE_READWRITE = 4
const MEM_RELEASE = 0x8000

const makePosix = (): Reserve => {
  const library = loadLibrary(null)
  const mmap = library.func(
    "intptr_t mmap(void *address, size_t bytes, int protection, int flags, int file, intptr_t offset)"
  )
  const munmap = library.func("int munmap(void *address, size_t bytes)")
  const madvise = library.func("int madvise(void *address, size_t bytes, int advice)")
  return (bytes) => {
    const address = BigInt(mmap(null, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE, -1, 0))
    if (address === -1n) throw new RangeError(`Cannot allocate ${bytes} bytes: out of memory`)
    // a cache is filled a row at a time in many places: pages of 2 MB would be resident long before they hold anything
    if (process.platform === "linux") madvise(address, bytes, MADV_NOHUGEPAGE)
    return { address, free: () => void munmap(address, bytes) }
  }
}

const makeWindows = (): Reserve => {
  const library = loadLibrary("kernel32.dll")
  const virtualAlloc = library.func(
    "void *VirtualAlloc(void *address, size_t bytes, uint32_t type, uint32_t protection)"
  )
  const virtualFree = library.func("int VirtualFree(void *address, size_t bytes, uint32_t type)")
  return (bytes) => {
    const address: Pointer | null = virtualAlloc(null, bytes, MEM_COMMIT_RESERVE, PAGE_READWRITE)
    if (!address) throw new RangeError(`Cannot allocate ${bytes} bytes: out of memory`)
    return { address, free: () => void virtualFree(address, 0, MEM_RELEASE) }
  }
}

let reserve: Reserve | undefined

/** Reserves zeroed pages for `bytes` bytes, at least one page. Throws `RangeError` if the system refuses. */
export const reservePages: Reserve = (bytes) => {
  reserve ??= process.platform === "win32" ? makeWindows() : makePosix()
  return reserve(Math.max(bytes, 1))
}
