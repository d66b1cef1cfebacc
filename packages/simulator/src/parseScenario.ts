/**
 * Reads a scenario that came from a file, and says what is wrong with it by the name of the field.
 * @module
 */
import type { Machines } from "./planSwarm.ts"
import type { Scenario } from "./Scenario.ts"

/** A scenario that cannot be run. */
export class ScenarioError extends Error {
  readonly _tag = "ScenarioError"
  /** Where, such as "servers[0].decodeRate". */
  readonly field: string

  constructor(field: string, detail: string) {
    super(`"${field}" ${detail}`)
    this.field = field
  }
}

/** Servers, sessions and variants of one scenario are no more than this. */
export const SCENARIO_LIMITS = { servers: 100_000, sessions: 10_000_000, variants: 256, blocks: 4096 } as const

/** A check of one value; it fails with the field's name. */
type Check = (value: unknown, field: string) => void

const number =
  (least: number, most: number = Number.MAX_SAFE_INTEGER, whole = false): Check =>
  (value, field) => {
    const good = typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value))
    if (!good) throw new ScenarioError(field, `must be a ${whole ? "whole " : ""}number from ${least} to ${most}`)
  }

const text: Check = (value, field) => {
  if (typeof value !== "string") throw new ScenarioError(field, "must be a text")
}

const flag: Check = (value, field) => {
  if (typeof value !== "boolean") throw new ScenarioError(field, "must be true or false")
}

const one =
  (...choices: ReadonlyArray<string>): Check =>
  (value, field) => {
    if (typeof value !== "string" || !choices.includes(value))
      throw new ScenarioError(field, `must be one of ${choices.join(", ")}`)
  }

const list =
  (each: Check, least: number, most: number): Check =>
  (value, field) => {
    if (!Array.isArray(value) || value.length < least || value.length > most)
      throw new ScenarioError(field, `must be a list of ${least === most ? least : `${least} to ${most}`} entries`)
    for (const [index, entry] of value.entries()) each(entry, `${field}[${index}]`)
  }

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Names that end in "?" may be absent; names that are not listed are refused. */
const record =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, field) => {
    if (!isRecord(value)) throw new ScenarioError(field, "must be an object")
    const at = (name: string): string => (field === "" ? name : `${field}.${name}`)
    for (const [key, check] of Object.entries(fields)) {
      const name = key.replace("?", "")
      if (value[name] !== undefined) check(value[name], at(name))
      else if (!key.endsWith("?")) throw new ScenarioError(at(name), "is missing")
    }
    for (const name of Object.keys(value)) {
      if (!(name in fields) && !(`${name}?` in fields)) throw new ScenarioError(at(name), "is not known")
    }
  }

const map =
  (each: Check): Check =>
  (value, field) => {
    if (!isRecord(value)) throw new ScenarioError(field, "must be an object")
    for (const [name, entry] of Object.entries(value)) each(entry, `${field}.${name}`)
  }

const seconds = number(0, 1e9)
const interval: Check = (value, field) => {
  list(seconds, 2, 2)(value, field)
  if (Array.isArray(value) && value[0] > value[1]) throw new ScenarioError(field, "must not end before it begins")
}
const link = record({ rttMs: number(0, 1e6), "mbps?": number(0.001, 1e9) })
const count = number(1, SCENARIO_LIMITS.blocks, true)
const blocks: Check = (value, field) => {
  if (typeof value === "number") return count(value, field)
  const pair: unknown = isRecord(value) ? value.between : value
  list(number(0, SCENARIO_LIMITS.blocks, true), 2, 2)(pair, field)
  const [from, to]: ReadonlyArray<number> = Array.isArray(pair) ? pair : []
  const inOrder = from !== undefined && to !== undefined && (isRecord(value) ? from >= 1 && from <= to : from < to)
  if (!inOrder) throw new ScenarioError(field, "must be a range of blocks, or a range of counts from 1")
}

const fields: Readonly<Record<string, Check>> = {
  name: text,
  "about?": text,
  model: record({ blocks: count, tokenBytes: number(0, 1e9) }),
  servers: list(
    record({
      "count?": number(0, SCENARIO_LIMITS.servers, true),
      "region?": text,
      blocks,
      decodeRate: number(1e-6, 1e12),
      prefillRate: number(1e-6, 1e12),
      "mbps?": number(0.001, 1e9),
      "kvTokens?": number(1),
      "batch?": number(1, 1e6),
      "join?": interval,
      "lifeSeconds?": number(1e-3),
      "awaySeconds?": seconds,
      "hours?": list(number(0, 24), 2, 2)
    }),
    1,
    10_000
  ),
  load: list(
    record({
      count: number(0, SCENARIO_LIMITS.sessions, true),
      "during?": interval,
      "byHour?": list(number(0), 24, 24),
      "region?": text,
      promptTokens: number(0, 1e7, true),
      newTokens: number(1, 1e7, true)
    }),
    0,
    10_000
  ),
  "seconds?": seconds,
  "seed?": number(0, 2 ** 32, true),
  network: record({ within: link, "between?": link, "pairs?": map(link), "path?": one("chain", "client") }),
  "overheadSeconds?": seconds,
  "failures?": record({
    "perSend?": number(0, 0.5),
    "noticeSeconds?": seconds,
    "graceSeconds?": seconds,
    "blows?": list(
      record({ at: seconds, region: text, "awaySeconds?": seconds, "slower?": number(1e-3, 1e6) }),
      0,
      10_000
    )
  }),
  "recovery?": one("replay", "replay-steps", "restart", "cacheless"),
  "balance?": record({
    "rule?": one("none", "petals", "improve", "improve-regional"),
    "checkSeconds?": number(0.1, 1e9),
    "loadSeconds?": seconds,
    "maxMoves?": number(0, 1e6, true),
    "forecastHours?": number(0, 24, true)
  }),
  "routing?": record({ "staleSeconds?": seconds, "sharedBy?": number(1, 1e9, true), "partial?": flag }),
  "published?": number(0)
}

const scenarioCheck = record({ ...fields, "variants?": list(() => undefined, 1, SCENARIO_LIMITS.variants) })
const variantCheck = record(
  Object.fromEntries(
    Object.entries(fields).map(([name, check]) => [name === "name" ? name : `${name.replace("?", "")}?`, check])
  )
)

const total = (values: ReadonlyArray<{ readonly count?: number }>): number =>
  values.reduce((sum, { count: each = 1 }) => sum + each, 0)

const checkWhole = ({ model, servers, load }: Scenario): void => {
  if (total(servers) > SCENARIO_LIMITS.servers)
    throw new ScenarioError("servers", `are more than ${SCENARIO_LIMITS.servers}`)
  if (total(load) > SCENARIO_LIMITS.sessions)
    throw new ScenarioError("load", `is more than ${SCENARIO_LIMITS.sessions} sessions`)
  for (const [index, { blocks: held }] of servers.entries()) {
    if (Array.isArray(held) && held[1] > model.blocks)
      throw new ScenarioError(`servers[${index}].blocks`, `ends after the model's ${model.blocks} blocks`)
  }
}

/**
 * The runs of a scenario: each variant with the fields that it replaces, or the scenario itself. Throws {@link ScenarioError}.
 * @param value what `JSON.parse` returned
 */
export const parseScenario = (value: unknown): ReadonlyArray<Scenario> => {
  scenarioCheck(value, "")
  // every field was checked
  const { variants, ...base } = value as Scenario
  for (const [index, variant] of (variants ?? []).entries()) variantCheck(variant, `variants[${index}]`)
  const runs: ReadonlyArray<Scenario> = (variants ?? []).map((variant) => ({ ...base, ...variant }))
  const all = runs.length === 0 ? [base] : runs
  for (const run of all) checkWhole(run)
  return all
}

const machinesCheck = record({
  "about?": text,
  machines: list(
    record({
      name: text,
      "count?": number(1, 10_000, true),
      memoryGB: number(0, 1e6),
      memoryGBps: number(1e-3, 1e6),
      "gflops?": number(1e-3, 1e9),
      "decodeRate?": number(1e-6, 1e9),
      "prefillRate?": number(1e-6, 1e9),
      "diskGBps?": number(1e-3, 1e6),
      "region?": text,
      "mbps?": number(0.001, 1e9)
    }),
    1,
    1000
  ),
  network: record({ within: link, "between?": link, "pairs?": map(link) }),
  "client?": text
})

/** The machines of a plan. Throws {@link ScenarioError}. */
export const parseMachines = (value: unknown): Machines => {
  machinesCheck(value, "")
  const machines = value as Machines
  if (total(machines.machines) > 10_000) throw new ScenarioError("machines", "are more than 10000")
  return machines
}
