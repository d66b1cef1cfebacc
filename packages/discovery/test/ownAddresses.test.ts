import type { NetworkInterfaceInfo } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { ownAddresses } from "@swarm/discovery"

const ipv4 = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  internal,
  family: "IPv4",
  netmask: "255.255.255.0",
  mac: "00:00:00:00:00:00",
  cidr: null
})
const ipv6 = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  internal,
  family: "IPv6",
  netmask: "ffff:ffff:ffff:ffff::",
  mac: "00:00:00:00:00:00",
  cidr: null,
  scopeid: 0
})

const LOOPBACK = { lo: [ipv4("127.0.0.1", true), ipv6("::1", true)] }
const MACHINE = {
  ...LOOPBACK,
  docker0: [ipv4("172.17.0.1")],
  eth0: [ipv4("10.0.0.5"), ipv6("2001:db8::5"), ipv6("fe80::5")],
  eth1: [ipv4("169.254.3.4")]
}

describe("ownAddresses()", () => {
  it("names each interface that others can dial, those of the network first", () => {
    assert.deepStrictEqual(ownAddresses("ws://0.0.0.0:7000", MACHINE), ["ws://10.0.0.5:7000", "ws://172.17.0.1:7000"])
    assert.deepStrictEqual(ownAddresses("ws://[::]:7000/swarm", MACHINE), [
      "ws://10.0.0.5:7000/swarm",
      "ws://[2001:db8::5]:7000/swarm",
      "ws://172.17.0.1:7000/swarm"
    ])
  })

  it("is loopback where there is no network", () => {
    assert.deepStrictEqual(ownAddresses("ws://0.0.0.0:7000", LOOPBACK), ["ws://127.0.0.1:7000"])
    assert.deepStrictEqual(ownAddresses("ws://[::]:7000", {}), ["ws://127.0.0.1:7000"])
  })

  it("leaves every other address as it is", () => {
    for (const address of ["ws://10.0.0.9:1", "ws://127.0.0.1:1", "ws://swarm.example:1", "memory:server"]) {
      assert.deepStrictEqual(ownAddresses(address, MACHINE), [address])
    }
  })
})
