/**
 * Peers over the in-memory transport for tests.
 * @module
 */
import { createHash } from "node:crypto"
import { Directory, type DirectoryOptions, type Signed, signAnnouncement } from "@swarm/discovery"
import { type Identity, identityFrom, type Membership } from "@swarm/identity"
import { type Announcement, decodeRecord, type Found } from "@swarm/protocol"
import { announcement as imagined } from "@swarm/testing"
import { makeMemory, makeNetwork, type Network, Transport } from "@swarm/transport"
import { type Context, Effect, Exit, Scope, TestClock } from "effect"

let names = 0

/** A name that no other test uses. */
export const fresh = (name: string): string => `${name}-${names++}`

const identities = new Map<string, Identity>()

/** The identity of this name, always the same. */
export const named = (name: string): Identity => {
  const known = identities.get(name) ?? identityFrom(createHash("sha256").update(name).digest())
  identities.set(name, known)
  return known
}

/** The peer id of this name. */
export const idOf = (name: string): string => named(name).peer

/** What the peer of this name says of itself, at `now` in seconds. */
export const signedBy = (name: string, fields: Partial<Announcement> = {}, now = 0, membership?: Membership): Signed =>
  signAnnouncement({ identity: named(name), membership }, announcement(idOf(name), fields), now * 1000)

/** What a directory found, read. */
export const read = (found: ReadonlyArray<Found>): ReadonlyArray<Announcement> =>
  found.map(({ record }) => decodeRecord(record).announcement)

export const announcement = (peer: string, fields: Partial<Announcement> = {}): Announcement =>
  imagined(peer, 0, 10, { addresses: [`memory:${peer}`], model: "m", modelName: "model", modelBlocks: 30, ...fields })

const memory = makeMemory()

/** A memory transport on which addresses of any form are names: `ws://10.0.0.7:4000` reaches who listens on that name. */
const anyAddress: Context.Tag.Service<Transport> = {
  dial: (address) => memory.dial(address.startsWith("memory:") ? address : `memory:${address}`),
  listen: (address, onChannel) =>
    Effect.as(memory.listen(address.startsWith("memory:") ? address : `memory:${address}`, onChannel), address)
}

export interface Peer {
  readonly name: string
  readonly peer: string
  readonly address: string
  readonly network: Network
  readonly directory: Directory
  /** Kinds of the frames received. */
  readonly received: Array<string>
  /** Its network ends, as if the process were killed. */
  readonly kill: Effect.Effect<void>
  readonly scope: Scope.Scope
}

/** A server that runs a directory, on the clock of the test. */
export const makePeer = (
  name: string,
  options: DirectoryOptions = {},
  address = `memory:${idOf(name)}`
): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const received: Array<string> = []
    const network = yield* makeNetwork({ identity: named(name), software: "test" }).pipe(
      Scope.extend(scope),
      Effect.provideService(Transport, anyAddress)
    )
    const directory = new Directory(network, { now: () => clock.unsafeCurrentTimeMillis() / 1000, ...options })
    const at = yield* Effect.orDie(
      Scope.extend(
        network.serve(address, (connection) =>
          connection.receive((frame) => {
            received.push(frame.kind)
            directory.handle(frame, connection)
          })
        ),
        scope
      )
    )
    return {
      name,
      peer: network.self,
      address: at,
      network,
      directory,
      received,
      kill: Scope.close(scope, Exit.void),
      scope
    }
  })

/** A client: dials, serves nothing. */
export const makeClient = (name: string): Effect.Effect<Network, never, Scope.Scope> =>
  Effect.provideService(makeNetwork({ identity: named(name), software: "test" }), Transport, anyAddress)

/** Lets messages arrive that are under way. */
export const settle = Effect.promise(async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Moves the test clock second by second. */
export const pass = (seconds: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: seconds }), () => Effect.zipRight(TestClock.adjust("1 second"), settle), {
    discard: true
  })
