import { announcement as imagined } from "@swarm/testing"
import { assert, describe, it } from "vitest"
import { addressForServers } from "../src/hops.ts"

const announcement = (peer: string, ...addresses: ReadonlyArray<string>) => imagined(peer, 0, 8, { addresses })
const hop = (address: string) => ({ peer: "a", address, blocks: { from: 0, to: 8 }, digest: "" })

describe("addressForServers()", () => {
  it("is never loopback where the server announces something else", () => {
    const known = [
      announcement("b", "ws://10.0.0.9:1"),
      announcement("a", "ws://127.0.0.1:7000", "ws://localhost:7000", "ws://10.0.0.5:7000", "ws://172.17.0.1:7000")
    ]
    assert.strictEqual(addressForServers(hop("ws://127.0.0.1:7000"), known), "ws://10.0.0.5:7000")
    assert.strictEqual(addressForServers(hop("ws://[::1]:7000"), known), "ws://10.0.0.5:7000")
  })

  it("is what the client dials in all other cases", () => {
    const known = [announcement("a", "ws://127.0.0.1:7000")]
    for (const address of ["ws://127.0.0.1:7000", "ws://203.0.113.5:7000", "memory:a"]) {
      assert.strictEqual(addressForServers(hop(address), known), address)
      assert.strictEqual(addressForServers(hop(address), []), address)
    }
  })
})
