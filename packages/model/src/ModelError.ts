/**
 * What can go wrong with a model's files and description.
 * @module
 */
import type { FormatError } from "@swarm/tensor"
import * as Data from "effect/Data"
import type { NotCached } from "./HubError.ts"

/** The reference names nothing that exists here. *Never*: give another reference, or download the model first. */
export class ModelNotFound extends Data.TaggedError("ModelNotFound")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot find the model "${this.reference}": ${this.detail}`
  }
}

/** No registered family reads this architecture. *Never*: register one with `registerFamily`. */
export class UnknownArchitecture extends Data.TaggedError("UnknownArchitecture")<{
  readonly file: string
  readonly architecture: string
  readonly known: ReadonlyArray<string>
}> {
  override get message(): string {
    return `Unknown architecture "${this.architecture}" in "${this.file}", known are ${this.known.join(", ")}`
  }
}

/** A field of `config.json` or of the GGUF metadata is missing or holds an impossible value. *Never*. */
export class ConfigurationError extends Data.TaggedError("ConfigurationError")<{
  readonly file: string
  readonly field: string
  readonly detail: string
}> {
  override get message(): string {
    return `Field "${this.field}" of "${this.file}" ${this.detail}`
  }
}

/** The configuration and the tensors of a checkpoint disagree. *Never*: one of the two belongs to another model. */
export class WeightMismatch extends Data.TaggedError("WeightMismatch")<{
  readonly file: string
  readonly tensor: string
  readonly detail: string
}> {
  override get message(): string {
    return `Tensor "${this.tensor}" of "${this.file}" ${this.detail}`
  }
}

/** The architecture is known, but the graph builder has no exact form for one of its features. *Never*. */
export class Unsupported extends Data.TaggedError("Unsupported")<{
  readonly feature: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.feature} is not supported: ${this.detail}`
  }
}

/** Every failure of opening a model. */
export type ModelError =
  | FormatError
  | ModelNotFound
  | NotCached
  | UnknownArchitecture
  | ConfigurationError
  | WeightMismatch
  | Unsupported
