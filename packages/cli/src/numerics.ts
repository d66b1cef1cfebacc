/**
 * From options to what the libraries take.
 * @module
 */
import type { SamplingOptions } from "@swarm/client"
import type { SpanOptions } from "@swarm/compute"
import type { WireCodec } from "@swarm/protocol"

export interface NumericValues {
  readonly weights: string | undefined
  readonly group: string | undefined
  readonly activations: string | undefined
  readonly threads: number | undefined
  readonly "one-row": boolean
}

type Defined<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> }

/** Leaves out what was not given. */
export const given = <T extends Record<string, unknown>>(values: T): Partial<Defined<T>> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<Defined<T>>

// the command line allows these words only
export const spanOptions = (values: NumericValues): SpanOptions =>
  given({
    weights: values.weights as SpanOptions["weights"],
    activations: values.activations as SpanOptions["activations"],
    group: values.group === undefined ? undefined : Number(values.group),
    threads: values.threads,
    reproducible: values["one-row"] ? false : undefined
  })

export const codecOf = (values: {
  readonly codec: string | undefined
  readonly activations: string | undefined
}): WireCodec => (values.codec as WireCodec | undefined) ?? (values.activations === "f32" ? "f32" : "f16")

export interface SamplingValues {
  readonly temperature: number | undefined
  readonly "top-p": number | undefined
  readonly "top-k": number | undefined
  readonly "min-p": number | undefined
  readonly "repetition-penalty": number | undefined
  readonly "frequency-penalty": number | undefined
  readonly "presence-penalty": number | undefined
  readonly seed: number | undefined
}

export const samplingOptions = (values: SamplingValues): SamplingOptions =>
  given({
    temperature: values.temperature,
    topP: values["top-p"],
    topK: values["top-k"],
    minP: values["min-p"],
    repetitionPenalty: values["repetition-penalty"],
    frequencyPenalty: values["frequency-penalty"],
    presencePenalty: values["presence-penalty"],
    seed: values.seed
  })
