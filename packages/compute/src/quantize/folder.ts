/**
 * The folder of a new checkpoint: one file of tensors for each block, so that work can go on where it was ended.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { huggingFaceConfig, type Model, tokenizerFilesOfGguf } from "@swarm/model"
import { openSafetensors, type TensorToWrite, toFloat32, writeSafetensors } from "@swarm/tensor"
import { QuantizeError } from "../ComputeError.ts"

const PROGRESS = ".progress"
const SETTINGS = "settings.json"
const ROWS = "rows.safetensors"

/** A checkpoint that is being written. */
export interface CheckpointFolder {
  /** For the files of the block at work. */
  readonly work: string
  /** Whether the part (0: what lies outside of the blocks, then one for each block) is there. */
  readonly has: (part: number) => boolean
  readonly write: (part: number, tensors: ReadonlyArray<TensorToWrite>) => void
  /** The calibration rows that were saved last, and the block that they go into. */
  readonly rows: () => { readonly block: number; readonly rows: Float32Array } | undefined
  readonly saveRows: (block: number, rows: Float32Array) => void
  /** Writes the index, and `files` by name, the last of them last; removes what is not part of the checkpoint. */
  readonly finish: (files: ReadonlyArray<readonly [name: string, contents: object | Uint8Array]>) => void
}

/**
 * Makes the folder, or goes on with one that was begun with the same `settings`. Throws `QuantizeError` if it holds
 * something else.
 */
export const openCheckpointFolder = (folder: string, parts: number, settings: object): CheckpointFolder => {
  const work = path.join(folder, PROGRESS)
  const said = path.join(work, SETTINGS)
  const text = JSON.stringify(settings)
  const existing = fs.existsSync(folder) ? fs.readdirSync(folder) : []
  if (existing.length > 0) {
    const same = fs.existsSync(said) && fs.readFileSync(said, "utf8") === text
    if (!same) throw new QuantizeError({ folder, detail: "it holds something else: give an empty or new folder" })
  }
  makeFolder(work)
  fs.writeFileSync(said, text)
  const fileOf = (part: number): string => {
    const number = (value: number) => `${value}`.padStart(5, "0")
    return `model-${number(part + 1)}-of-${number(parts)}.safetensors`
  }
  const at = (part: number): string => path.join(folder, fileOf(part))
  const saved = path.join(work, ROWS)
  return {
    work,
    has: (part) => fs.existsSync(at(part)),
    write: (part, tensors) => writeSafetensors(at(part), tensors, { format: "pt" }),
    rows: () => {
      if (!fs.existsSync(saved)) return undefined
      const file = openSafetensors(saved)
      const [tensor] = file.tensors.values()
      if (tensor === undefined) return undefined
      return { block: Number(tensor.name), rows: toFloat32("f32", file.readBytes(tensor.name, 0, tensor.bytes)) }
    },
    saveRows: (block, rows) => {
      writeSafetensors(saved, [{ name: `${block}`, type: "f32", shape: [rows.length], data: rows }])
    },
    finish: (files) => {
      const weightMap: Record<string, string> = {}
      let bytes = 0
      for (let part = 0; part < parts; part++) {
        for (const tensor of openSafetensors(at(part)).tensors.values()) {
          weightMap[tensor.name] = fileOf(part)
          bytes += tensor.bytes
        }
      }
      const index = { metadata: { total_size: bytes }, weight_map: weightMap }
      for (const [name, contents] of [["model.safetensors.index.json", index] as const, ...files]) {
        const data = contents instanceof Uint8Array ? contents : jsonOf(contents)
        fs.writeFileSync(path.join(folder, name), data)
      }
      fs.rmSync(work, { recursive: true, force: true })
    }
  }
}

/** JSON as other software takes it: bitsandbytes refuses a whole number where it wants a float. */
const jsonOf = (contents: object): string =>
  `${JSON.stringify(contents, undefined, 2)}\n`.replace(/("llm_int8_threshold": \d+)(?=[\n,])/, "$1.0")

/** Files of a folder in Hugging Face layout that say how text becomes ids and how to generate. */
const COMPANIONS =
  /^(?:tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\..*|merges\.txt|spiece\.model|chat_template.*|generation_config\.json)$/

/** What the new folder says besides its weights; `config.json` comes last, for without it a folder is no model. */
export const descriptionOf = (
  { architecture, opened: { source } }: Model,
  quantization: Readonly<Record<string, unknown>>
): ReadonlyArray<readonly [name: string, contents: object | Uint8Array]> => {
  if (source.format === "gguf") {
    const files = Object.entries(tokenizerFilesOfGguf(source.file, source.metadata) ?? {})
    return [...files, ["config.json", { ...huggingFaceConfig(architecture), quantization_config: quantization }]]
  }
  const read = (name: string): Uint8Array => fs.readFileSync(path.join(source.folder, name))
  const copies = fs.readdirSync(source.folder).filter((name) => COMPANIONS.test(name))
  const config: object = JSON.parse(new TextDecoder().decode(read("config.json")))
  return [
    ...copies.map((name) => [name, read(name)] as const),
    ["config.json", { ...config, quantization_config: quantization }]
  ]
}

/** As a recursive `mkdirSync`, which never ends where the system has the parent and makes nothing in it, such as in /proc. */
const makeFolder = (folder: string): void => {
  if (fs.existsSync(folder)) return
  const parent = path.dirname(folder)
  if (parent !== folder) makeFolder(parent)
  fs.mkdirSync(folder)
}
