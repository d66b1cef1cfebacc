import { identityFrom, makeIdentity } from "@swarm/identity"
import { type Service, Transport } from "@swarm/transport"
import * as compliance from "@swarm/transport/compliance"
import { makeLibp2p } from "@swarm/transport-libp2p"
import { Effect, Layer } from "effect"

/** A peer cannot dial itself: one node listens, another dials. */
const layerPair = Layer.scoped(
  Transport,
  Effect.gen(function* () {
    const listening = yield* makeLibp2p({ identity: makeIdentity() })
    const dialling = yield* makeLibp2p({ identity: makeIdentity() })
    return { dial: dialling.dial, listen: listening.listen } satisfies Service
  })
)

const nobody = identityFrom(new Uint8Array(32)).peer

compliance.transport({
  name: "libp2p",
  layer: layerPair,
  address: "/ip4/127.0.0.1/tcp/0",
  dead: `/ip4/127.0.0.1/tcp/1/p2p/${nobody}`
})
