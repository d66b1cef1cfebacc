/**
 * What a benchmark prints: tables for people, or the same rows as JSON lines.
 * @module
 */
import * as os from "node:os"
import { Engine, layer } from "@swarm/engine"
import { Effect } from "effect"

/** A cell may be missing where a row has nothing to say. */
export type Row = Readonly<Record<string, string | number>>

/** Prints under one of the two forms. */
export interface Report {
  /** A table with a title; columns are the keys of its rows. As JSON: a line for each row, `{"table": title, ...row}`. */
  readonly table: (title: string, rows: ReadonlyArray<Row>) => void
  /** A single measurement as it comes: a JSON line, or progress on stderr. */
  readonly sample: (row: Row) => void
  readonly note: (text: string) => void
}

/** Names the environment first: without it no figure means anything. */
export const makeReport = async (isJson: boolean, facts: Row): Promise<Report> => {
  const print = (row: object) => console.log(JSON.stringify(row))
  const environment = { ...facts, ...(await machine()) }
  if (isJson) print({ event: "environment", ...environment })
  else
    console.log(
      `${Object.entries(environment)
        .map(([key, value]) => `${key} ${value}`)
        .join(", ")}\n`
    )
  return {
    table: (title, rows) => {
      if (isJson) for (const row of rows) print({ table: title, ...row })
      else console.log(`${title}\n\n${markdown(rows)}\n`)
    },
    sample: (row) => {
      if (isJson) print(row)
      else process.stderr.write(`${Object.values(row).map(shown).join("  ")}\n`)
    },
    note: (text) => {
      if (isJson) print({ event: "note", text })
      else console.log(text)
    }
  }
}

/** Processor, instruction set, and versions of what computes. */
const machine = async (): Promise<Row> => {
  const { runtime, instructionSet } = await Effect.runPromise(
    Effect.map(Engine, ({ info }) => info).pipe(Effect.provide(layer))
  )
  const cpus = os.cpus()
  return {
    processor: cpus[0]?.model.trim() ?? "?",
    cores: cpus.length,
    "instruction set": instructionSet,
    runtime,
    node: process.versions.node,
    "load average": (os.loadavg()[0] ?? Number.NaN).toFixed(1)
  }
}

const markdown = (rows: ReadonlyArray<Row>): string => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = rows.map((row) => columns.map((column) => shown(row[column] ?? "")))
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => (row[i] ?? "").length)))
  const line = (row: ReadonlyArray<string>) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`
  return [line(columns), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n")
}

/** Three significant digits; whole numbers as they are. */
const shown = (value: string | number): string =>
  typeof value === "string" || Number.isInteger(value)
    ? String(value)
    : Math.abs(value) >= 100
      ? value.toFixed(0)
      : value.toPrecision(3)
