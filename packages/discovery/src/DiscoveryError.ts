/**
 * What can go wrong in discovery.
 * @module
 */
import * as Data from "effect/Data"

/** No directory answers and nothing is known. *Later*: try again, or give another address. */
export class DiscoveryError extends Data.TaggedError("DiscoveryError")<{
  readonly addresses: ReadonlyArray<string>
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot find the swarm through ${this.addresses.map((a) => `"${a}"`).join(", ")}: ${this.detail}`
  }
}
