/**
 * Writes weights in the form that the kernels use, so that they are mapped instead of made at every start.
 *
 * ONNX Runtime can save what its kernels have prepared beside the tensors, but writes it unaligned, and its kernels then
 * compute NaN: every blob is moved to a page boundary. At load, kernels still prepare each tensor once, compare by hash,
 * and drop their own copy for the mapped one; so the raw tensor must be there too, but is not kept in memory.
 * @see {@link https://github.com/microsoft/onnxruntime/blob/v1.30.0/onnxruntime/core/framework/tensor_external_data_info.cc}
 * @module
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { type ExternalData, readExternalData } from "@swarm/onnx"
import type { Fold, PackedEntry, PackedWeights } from "../Engine.ts"
import { createSession, withSessionOptions } from "./CapiProgram.ts"
import { foldOffsets } from "./fold.ts"
import { trimHeap } from "./heap.ts"
import { threading } from "./loadOptions.ts"
import type { Ort } from "./ort.ts"
import { blobsOf, withOffsets } from "./prepacked.ts"
import { readFully, writeFully } from "./transfer.ts"

/** Blobs begin at multiples of a page, of a huge page if they fill one. */
const PAGE = 4096
const HUGE_PAGE = 2 ** 21

const MODEL = "packed.onnx"
const DATA = "packed.bin"
const PREPACKED = /^prepacked/

/** Saves model and prepared weights to `folder`: files `MODEL` and `DATA`. */
const save = async (ort: Ort, model: Uint8Array, source: string, folder: string): Promise<void> => {
  const session = await withSessionOptions(ort, { model, folder: source }, threading({}), (options) => {
    const set = (key: string, value: string) => ort.call("AddSessionConfigEntry", options, key, value)
    // as it was given: an optimised graph may have other initializers
    ort.call("SetSessionGraphOptimizationLevel", options, 0)
    ort.call("SetOptimizedModelFilePath", options, path.join(folder, MODEL))
    set("session.optimized_model_external_initializers_file_name", DATA)
    set("session.optimized_model_external_initializers_min_size_in_bytes", "0")
    set("session.save_external_prepacked_constant_initializers", "1")
    return createSession(ort, model, options)
  })
  ort.release("ReleaseSession", session)
  trimHeap()
}

/**
 * Appends ranges of one file to another, each at a page boundary.
 *
 * The file is written in whole huge pages: Linux (since 6.16 on ext4, before that on xfs) then keeps it in the page cache
 * in huge pages and maps them as such, and a decode step, which reads all weights once, misses the TLB less.
 */
const aligner = (from: fs.FileHandle, to: fs.FileHandle) => {
  const buffer = Buffer.alloc(HUGE_PAGE)
  let written = 0
  let held = 0
  const flush = async (): Promise<void> => {
    await writeFully(to, buffer.subarray(0, held), written)
    written += held
    held = 0
    buffer.fill(0)
  }
  const room = async (): Promise<number> => {
    if (held === HUGE_PAGE) await flush()
    return HUGE_PAGE - held
  }
  return {
    /** Copies `[offset, offset + length)` and resolves to where it lies now. */
    copy: async (offset: number, length: number): Promise<number> => {
      const alignment = length < HUGE_PAGE ? PAGE : HUGE_PAGE
      held = Math.ceil(held / alignment) * alignment
      if (held === HUGE_PAGE) await flush()
      const start = written + held
      for (let done = 0; done < length; ) {
        const piece = Math.min(await room(), length - done)
        await readFully(from, buffer.subarray(held, held + piece), offset + done)
        held += piece
        done += piece
      }
      return start
    },
    /** Writes what is held; resolves to the length of the file. */
    end: async (): Promise<number> => {
      await flush()
      return written
    }
  }
}

/** Copies the blobs of an entry; gives the entry that says where they are now. */
const moveBlobs = async (entry: string, copy: (offset: number, length: number) => Promise<number>): Promise<string> => {
  const offsets: Array<number> = []
  for (const { offset, length } of blobsOf(entry)) offsets.push(await copy(offset, length))
  return withOffsets(entry, offsets)
}

/** Copies everything that `entries` tell of from the file of `save` to `target`. */
const align = async (
  entries: Iterable<readonly [name: string, data: ExternalData]>,
  data: string,
  target: string
): Promise<Omit<PackedWeights, "location" | "folded">> => {
  const from = await fs.open(data, "r")
  try {
    const to = await fs.open(target, "wx")
    try {
      const { copy, end } = aligner(from, to)
      let mappedBytes = 0
      const moved = new Map<string, PackedEntry>()
      for (const [name, { extra = {}, length, offset }] of entries) {
        const prepacked: Record<string, string> = {}
        for (const [key, value] of Object.entries(extra)) {
          if (PREPACKED.test(key)) prepacked[key] = await moveBlobs(value, copy)
        }
        const blobs = Object.values(prepacked).flatMap(blobsOf)
        mappedBytes += blobs.length === 0 ? length : blobs.reduce((sum, blob) => sum + blob.length, 0)
        moved.set(name, { offset: await copy(offset, length), length, prepacked })
      }
      return { bytes: await end(), mappedBytes, entries: moved }
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

const foldInto = async (target: string, entries: ReadonlyMap<string, PackedEntry>, folds: ReadonlyArray<Fold>) => {
  const file = await fs.open(target, "r+")
  try {
    return await foldOffsets(file, entries, folds)
  } finally {
    await file.close()
  }
}

/**
 * Packs the external initializers of `model`, found in `folder`, into the file `location` there. Needs twice the room of the
 * result meanwhile; leaves no other file, nor `location` itself if it fails. Memory rises by the packed weights until it
 * is done.
 */
export const pack = async (
  ort: Ort,
  model: Uint8Array,
  folder: string,
  location: string,
  folds: ReadonlyArray<Fold>
): Promise<PackedWeights> => {
  const wanted = readExternalData(model)
  const temporary = path.join(folder, `.pack-${process.pid}-${randomBytes(4).toString("hex")}`)
  await fs.mkdir(temporary)
  try {
    await save(ort, model, folder, temporary)
    const saved = readExternalData(await fs.readFile(path.join(temporary, MODEL)))
    const kept = [...wanted.keys()].map((name) => {
      const data = saved.get(name)
      if (data === undefined) throw new Error(`no node reads the initializer "${name}"`)
      return [name, data] as const
    })
    const target = path.join(temporary, "aligned")
    const aligned = await align(kept, path.join(temporary, DATA), target)
    const folded = await foldInto(target, aligned.entries, folds)
    await fs.rename(target, path.join(folder, location))
    return { location, ...aligned, folded }
  } finally {
    await fs.rm(temporary, { recursive: true, force: true })
  }
}
