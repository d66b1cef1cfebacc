/**
 * Reading and writing whole ranges of files: the system may do a part at a time.
 * @module
 */
import type * as fs from "node:fs/promises"

/** Fills `out` from byte `position`. Rejects where the file ends before. */
export const readFully = async (file: fs.FileHandle, out: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < out.length; ) {
    const { bytesRead } = await file.read(out, done, out.length - done, position + done)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${position + done}`)
    done += bytesRead
  }
}

/** Writes all of `bytes` to byte `position` and on. */
export const writeFully = async (file: fs.FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}
