/**
 * Loads shared libraries through koffi, with the stack that their calls need.
 * @module
 */
import koffi, { type LibraryHandle } from "koffi"

/**
 * koffi runs a call on a stack of its own, by default 128 KB for calls in the background: too little for graph
 * optimisation, which recurses, and for matrix kernels, which keep panels of 64 KB on the stack.
 */
const STACK_BYTES = 8 * 2 ** 20

/** Throws `Error` where somebody else has loaded a library through koffi before: then the stack is fixed. */
const configure = (): void => {
  const settings = koffi.config()
  if ((settings.async_stack_size ?? 0) < STACK_BYTES) {
    koffi.config({ ...settings, sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES })
  }
}

/** Loads a library; `null`: the functions of this process. Throws `Error`. */
export const loadLibrary = (path: string | null): LibraryHandle => {
  configure()
  return koffi.load(path)
}

/** A function of this process, such as one of the C library; `undefined` where there is none of this name. */
export const processFunction = (signature: string): ReturnType<LibraryHandle["func"]> | undefined => {
  try {
    return loadLibrary(null).func(signature)
  } catch {
    return undefined
  }
}
