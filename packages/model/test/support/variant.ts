/**
 * Copies of fixtures with another configuration or other tensors.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { openShards, type TensorToWrite, writeSafetensors } from "@swarm/tensor"
import { fixtures, temporaryFolder } from "./fixtures.ts"

export type Config = Record<string, unknown>
export type Entries = ReadonlyArray<TensorToWrite>

/** A copy of the folder `source`, under the fixtures; its files are linked where they do not change. */
export const variant = (
  source: string,
  change: (config: Config) => void,
  tensors?: (entries: Entries) => Entries
): string => {
  const from = path.join(fixtures, source)
  const folder = temporaryFolder()
  const config: Config = JSON.parse(fs.readFileSync(path.join(from, "config.json"), "utf8"))
  change(config)
  fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify(config))
  if (tensors === undefined) {
    for (const file of fs.readdirSync(from).filter((other) => other.startsWith("model"))) {
      fs.symlinkSync(path.join(from, file), path.join(folder, file))
    }
    return folder
  }
  const file = openShards(from)
  const entries = [...file.tensors.values()].map(({ name, type, shape }) => ({
    name,
    type,
    shape,
    data: file.read(name)
  }))
  writeSafetensors(path.join(folder, "model.safetensors"), tensors(entries))
  return folder
}

/** The tensors with one of them changed. */
export const replaced = (name: string, change: (entry: TensorToWrite) => TensorToWrite) => (entries: Entries) =>
  entries.map((entry) => (entry.name === name ? change(entry) : entry))

/** The tensors without those that match. */
export const without = (pattern: RegExp) => (entries: Entries) => entries.filter(({ name }) => !pattern.test(name))
