/**
 * What can go wrong in the engine.
 * @module
 */
import * as Data from "effect/Data"

/**
 * The runtime library cannot be loaded here, or a graph cannot be loaded. *Never*: the same call fails again.
 * `detail` is the runtime's own message.
 */
export class LoadError extends Data.TaggedError("LoadError")<{
  readonly reason: "library" | "graph" | "memory"
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot load the ${this.reason === "library" ? "runtime library" : "graph"}: ${this.detail}`
  }
}

/** A run failed: bad shapes, a missing binding, out of memory. `detail` is the runtime's own message. */
export class RunError extends Data.TaggedError("RunError")<{ readonly detail: string }> {
  override get message(): string {
    return `Cannot run the graph: ${this.detail}`
  }
}

/** Packed weights cannot be written: a disk is full, a folder is read-only, or the graph lacks what it was built with. */
export class PackError extends Data.TaggedError("PackError")<{
  readonly folder: string
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot pack the weights in "${this.folder}": ${this.detail}`
  }
}

/** Every error of the engine. */
export type EngineError = LoadError | RunError | PackError
