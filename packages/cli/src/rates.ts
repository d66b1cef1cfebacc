/**
 * What spans can do on this machine, kept from one start to the next.
 * @module
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { cacheFolder, type Span } from "@swarm/compute"
import { measureRates, type Rates } from "@swarm/server"
import { version } from "./version.ts"

/** A machine changes: after so many seconds rates are measured anew. */
const GOOD_SECONDS = 7 * 86_400

/**
 * The rates of `span` with `threads` threads: those of an earlier start, or measured now. The digest of the span's results says which weights,
 * formats and kernels it has.
 */
export const ratesOf = async (span: Span, threads: number): Promise<Rates> => {
  const file = fileOf(span, threads)
  const known = read(file)
  if (known !== undefined) return known
  const rates = await measureRates(span)
  write(file, rates)
  return rates
}

const fileOf = ({ digest, from, to }: Span, threads: number): string => {
  const [cpu] = os.cpus()
  const key = createHash("sha256")
    .update(JSON.stringify([version, digest, from, to, threads, cpu?.model, os.cpus().length]))
    .digest("hex")
  return path.join(cacheFolder(), "rates", `${key.slice(0, 32)}.json`)
}

const read = (file: string): Rates | undefined => {
  try {
    if (Date.now() - fs.statSync(file).mtimeMs > 1000 * GOOD_SECONDS) return undefined
    const { decodeRate, prefillRate }: Record<string, unknown> = JSON.parse(fs.readFileSync(file, "utf8"))
    return isRate(decodeRate) && isRate(prefillRate) ? { decodeRate, prefillRate } : undefined
  } catch {
    return undefined
  }
}

const isRate = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value > 0

/** Not kept where nothing can be written; half a file, should another process read one, is not believed. */
const write = (file: string, rates: Rates): void => {
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, JSON.stringify(rates))
  } catch {
    // see above
  }
}
