/**
 * What can go wrong with models of the Hugging Face Hub.
 * @module
 */
import * as Data from "effect/Data"

/** The text is no `owner/name[@revision]`. *Never*. */
export class BadHubReference extends Data.TaggedError("BadHubReference")<{ readonly reference: string }> {
  override get message(): string {
    return `Cannot read "${this.reference}" as owner/name[@revision]`
  }
}

/** The model, or a part of it, is not on this machine. *Later*: the message names the command that downloads it. */
export class NotCached extends Data.TaggedError("NotCached")<{
  readonly reference: string
  /** The cache that was searched. */
  readonly cache: string
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot find "${this.reference}" in "${this.cache}": ${this.detail}; download it with: swarm pull ${this.reference}`
  }
}

/**
 * A download failed. What is on disk stays, and the next pull goes on from there.
 *
 * | reason | when | what to do |
 * | --- | --- | --- |
 * | `offline` | no connection, or it breaks and nothing arrives | *later* |
 * | `busy` | 429 or a fault of the Hub (5xx) | *later* |
 * | `unauthorized` | 401: private, or the name does not exist | set `HF_TOKEN` or check the name |
 * | `gated` | 403, or the Hub says so | accept the licence on the model's page, set `HF_TOKEN` |
 * | `missing` | 404: no such repository, revision or file | *never* |
 * | `weights` | nothing that can be run, or several GGUF files to choose from | *never*, or choose one |
 * | `disk-full` | not enough space; found before the download where possible | *later* |
 * | `disk` | the cache cannot be written | *never* |
 * | `corrupt` | the bytes have another checksum; they were thrown away | *later* |
 * | `response` | the Hub's answer makes no sense | *never* |
 */
export class HubError extends Data.TaggedError("HubError")<{
  readonly reference: string
  readonly reason:
    | "offline"
    | "busy"
    | "unauthorized"
    | "gated"
    | "missing"
    | "weights"
    | "disk-full"
    | "disk"
    | "corrupt"
    | "response"
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Cannot download "${this.reference}": ${this.detail}`
  }
}
