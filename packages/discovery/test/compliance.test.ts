import { makeBootstrap, makeStatic, type Service } from "@swarm/discovery"
import * as compliance from "@swarm/discovery/compliance"
import { Effect, Scope } from "effect"
import { fresh, makeClient, makePeer } from "./support.ts"

compliance.discovery({
  name: "static discovery",
  swarm: Effect.gen(function* () {
    const server = yield* makePeer(fresh("server"))
    const announcer: Service = {
      ...(yield* makeStatic(server.network, { addresses: [] })),
      announce: (announcement) => Effect.sync(() => server.directory.setOwn(announcement)),
      withdraw: Effect.sync(() => server.directory.setOwn(undefined))
    }
    const seeker = yield* makeStatic(yield* makeClient(fresh("client")), { addresses: [server.address] })
    return { peer: server.peer, announcer, seeker, vanish: server.kill }
  }),
  lost: Effect.flatMap(makeClient(fresh("client")), (network) => makeStatic(network, { addresses: ["memory:nowhere"] }))
})

const overDirectory = (addresses: (directory: string) => ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const directory = yield* makePeer(fresh("directory"))
    const server = yield* makePeer(fresh("server"))
    const known = addresses(directory.address)
    const announcer = yield* Scope.extend(makeBootstrap(server.network, { addresses: known }), server.scope)
    const seeker = yield* makeBootstrap(yield* makeClient(fresh("client")), { addresses: known })
    return { peer: server.peer, announcer, seeker, vanish: server.kill }
  })

const lost = Effect.flatMap(makeClient(fresh("client")), (network) =>
  makeBootstrap(network, { addresses: ["memory:nowhere"] })
)

compliance.discovery({ name: "bootstrap discovery", swarm: overDirectory((directory) => [directory]), lost })

compliance.discovery({
  name: "bootstrap discovery with a directory that is gone",
  swarm: overDirectory((directory) => ["memory:nowhere", directory]),
  lost
})
