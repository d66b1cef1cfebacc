/**
 * The least of a safetensors reader, so that these tests depend on no other package.
 * @module
 */
import { readFileSync } from "node:fs"

interface Entry {
  readonly dtype: string
  readonly shape: ReadonlyArray<number>
  readonly data_offsets: readonly [number, number]
}

/** Opens a fixture by its path under `test/fixtures`; `bytes` are fresh copies. */
export const fixture = (path: string) => {
  const file = readFileSync(new URL(`../../../test/fixtures/${path}`, import.meta.url))
  const size = Number(file.readBigUInt64LE(0))
  const header: Record<string, Entry> = JSON.parse(file.toString("utf8", 8, 8 + size))
  const entry = (name: string): Entry => {
    const found = header[name]
    if (found === undefined) throw new Error(`no tensor ${name} in ${path}`)
    return found
  }
  const bytes = (name: string): Uint8Array => {
    const [from, to] = entry(name).data_offsets
    return Uint8Array.from(file.subarray(8 + size + from, 8 + size + to))
  }
  return {
    bytes,
    shape: (name: string) => entry(name).shape,
    f32: (name: string) => new Float32Array(bytes(name).buffer),
    u16: (name: string) => new Uint16Array(bytes(name).buffer)
  }
}

/** Raw blocks and values of every type, by `TYPE.bytes` and `TYPE.values`. */
export const blocksFixture = () => {
  const [most, nvfp4] = [fixture("gguf/blocks.safetensors"), fixture("gguf/nvfp4.safetensors")]
  const of = (name: string) => (name.startsWith("NVFP4.") ? nvfp4 : most)
  return {
    bytes: (name: string) => of(name).bytes(name),
    shape: (name: string) => of(name).shape(name),
    f32: (name: string) => of(name).f32(name)
  }
}

/** The same bits, so that -0 is not 0 and NaN is NaN. */
export const bits = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length)

/** Reproducible numbers: uniform in [0, 1). */
export const random = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Reproducible normal numbers: f32 (count). */
export const normal = (seed: number, count: number, deviation = 1): Float32Array => {
  const next = random(seed)
  return Float32Array.from(
    { length: count },
    () => deviation * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  )
}
