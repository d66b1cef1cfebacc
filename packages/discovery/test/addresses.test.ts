import { assert, describe, it } from "@effect/vitest"
import { hostOf, reachableAddress, reachableAddresses } from "@swarm/discovery"

describe("hostOf()", () => {
  it("reads the host of every form of address", () => {
    const hosts: ReadonlyArray<readonly [string, string | undefined]> = [
      ["ws://10.0.0.7:4000", "10.0.0.7"],
      ["wss://Swarm.Example/path", "swarm.example"],
      ["ws://[::1]:4000/", "[::1]"],
      ["ws://[::ffff:10.0.0.7]:4000", "10.0.0.7"],
      ["10.0.0.7:54321", "10.0.0.7"],
      ["[fe80::1]:54321", "[fe80::1]"],
      ["memory:server", undefined],
      ["memory:#3", undefined],
      ["/ip4/10.0.0.7/tcp/4000", "10.0.0.7"],
      ["/ip6/FE80::1/tcp/4000/p2p/x", "[fe80::1]"],
      ["/dns/swarm.example/tcp/4000", undefined],
      ["", undefined]
    ]
    for (const [address, host] of hosts) assert.strictEqual(hostOf(address), host, address)
  })
})

describe("reachableAddress()", () => {
  it("puts the host seen in the place of one that cannot be dialled from here", () => {
    const cases: ReadonlyArray<readonly [string, string | undefined, string | undefined]> = [
      ["ws://0.0.0.0:4000", "10.0.0.7", "ws://10.0.0.7:4000"],
      ["ws://[::]:4000/swarm", "[fe80::1]", "ws://[fe80::1]:4000/swarm"],
      ["ws://0.0.0.0:4000", "127.0.0.1", "ws://127.0.0.1:4000"],
      ["ws://0.0.0.0:4000", "0.0.0.0", "ws://127.0.0.1:4000"],
      ["ws://0.0.0.0:4000", undefined, undefined],
      ["ws://127.0.0.1:4000", "10.0.0.7", "ws://10.0.0.7:4000"],
      ["ws://localhost:4000", "10.0.0.7", "ws://10.0.0.7:4000"],
      ["ws://127.0.0.1:4000", "127.0.0.1", "ws://127.0.0.1:4000"],
      ["ws://127.0.0.1:4000", "localhost", "ws://127.0.0.1:4000"],
      ["ws://127.0.0.1:4000", undefined, "ws://127.0.0.1:4000"],
      ["ws://192.168.1.5:4000", "10.0.0.7", "ws://192.168.1.5:4000"],
      ["memory:server", "10.0.0.7", "memory:server"],
      ["/ip4/0.0.0.0/tcp/4000/p2p/x", "10.0.0.7", "/ip4/10.0.0.7/tcp/4000/p2p/x"],
      ["/ip4/0.0.0.0/tcp/4000", "[fe80::1]", "/ip6/fe80::1/tcp/4000"],
      ["/ip6/::/tcp/4000", "swarm.example", "/dns/swarm.example/tcp/4000"],
      ["/ip4/127.0.0.1/tcp/4000", "127.0.0.1", "/ip4/127.0.0.1/tcp/4000"],
      ["/ip4/0.0.0.0/tcp/4000", undefined, undefined]
    ]
    for (const [address, seen, wanted] of cases) assert.strictEqual(reachableAddress(address, seen), wanted, address)
  })

  it("never yields an address twice", () => {
    assert.deepEqual(reachableAddresses(["ws://0.0.0.0:1", "ws://10.0.0.7:1", "ws://0.0.0.0:2"], "10.0.0.7"), [
      "ws://10.0.0.7:1",
      "ws://10.0.0.7:2"
    ])
  })
})
