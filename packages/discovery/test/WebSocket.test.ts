import { assert, describe, it } from "@effect/vitest"
import { Directory, makeBootstrap, makeStatic } from "@swarm/discovery"
import { layerWebSocket, makeNetwork } from "@swarm/transport"
import { Effect } from "effect"
import { announcement } from "./support.ts"

describe("discovery over WebSocket", () => {
  it.scopedLive("finds servers that listen on every interface at the addresses where they were seen", () =>
    Effect.gen(function* () {
      const first = yield* makeNetwork({ software: "test" })
      const directory = new Directory(first)
      directory.setOwn(announcement(first.self, { addresses: ["ws://0.0.0.0:9"] }))
      const address = yield* first.serve("ws://127.0.0.1:0", (connection) =>
        connection.receive((frame) => void directory.handle(frame, connection))
      )
      const second = yield* makeNetwork({ software: "test" })
      const joined = yield* makeBootstrap(second, { addresses: [address] })
      yield* joined.announce(announcement(second.self, { addresses: ["ws://0.0.0.0:4321"] }))

      const client = yield* makeNetwork({ software: "test" })
      const discovery = yield* makeStatic(client, { addresses: [address, "ws://127.0.0.1:1"] })
      yield* discovery.refresh
      assert.deepEqual(Object.fromEntries(discovery.known().map(({ peer, addresses }) => [peer, addresses])), {
        [first.self]: [address, "ws://127.0.0.1:9"],
        [second.self]: ["ws://127.0.0.1:4321"]
      })
    }).pipe(Effect.provide(layerWebSocket()))
  )
})
