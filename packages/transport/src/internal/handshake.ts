/**
 * Hello, welcome, proof: who is there, proven, and which version is spoken. Callbacks, not promises: the connection must take the
 * channel over in the very turn in which the handshake ends.
 * @module
 */
import { randomBytes } from "node:crypto"
import { type Identity, isSigned, type Membership } from "@swarm/identity"
import {
  decodeFrame,
  encodeFrame,
  type Fault,
  type Frame,
  NONCE_BYTES,
  negotiate,
  never,
  PROTOCOL_VERSIONS,
  ProtocolError
} from "@swarm/protocol"
import type { Introduction } from "../Connection.ts"
import type { Channel } from "../Transport.ts"
import { type Deadline, type Deadlines, inSeconds } from "./Deadlines.ts"

/** Request number of the hello: a channel's first. */
const HELLO_REQUEST = 1

export interface Handshake {
  readonly channel: Channel
  readonly identity: Identity
  /** Of a private swarm: who is no member is refused. */
  readonly membership: Membership | undefined
  /** What we say of ourselves. */
  readonly self: () => Self
  readonly deadlines: Deadlines
  readonly seconds: number
  /** The peer is known. Sets the channel's receiver before it returns. */
  readonly done: (peer: Introduction) => void
  /** There is no peer to talk to; the channel is closed. */
  readonly failed: (detail: string, reason: "handshake" | "timeout") => void
}

/** What a peer says of itself that need not be proven. */
interface Self {
  readonly software: string
  readonly address?: string
}

/**
 * The dialling end: says hello, waits for a welcome that proves who answers, and proves in turn who it is.
 *
 * Both sign the same: the two numbers made up for this handshake, then the two ids. So neither signature is good a second time.
 */
export const greet = (handshake: Handshake): void => {
  const { channel, identity, membership } = handshake
  const nonce = randomBytes(NONCE_BYTES)
  begin(handshake, (frame, steps) => {
    if (frame.kind === "fault") return steps.fail(`the peer refuses: ${frame.body.detail}`)
    if (frame.kind !== "welcome") return steps.refuse(never("protocol", `"${frame.kind}" came instead of a welcome`))
    const { version, peer, software, credential, signature } = frame.body
    if (!PROTOCOL_VERSIONS.includes(version))
      return steps.refuse(never("version", `version ${version} is not spoken here`))
    const said = transcript(nonce, frame.body.nonce, identity.peer, peer)
    if (isAnother(channel, peer) || !isSigned(peer, "welcome", said, signature)) return steps.refuse(unproven(peer))
    const refusal = membership?.refusal(peer, credential, "serve")
    if (refusal !== undefined) return steps.refuse(never("unauthorized", refusal))
    channel.send(encodeFrame("proof", 0, { signature: identity.sign("proof", said) }))
    steps.succeed({ versions: [version], peer, software, ...(credential === undefined ? {} : { credential }) })
  })
  channel.send(encodeFrame("hello", HELLO_REQUEST, { versions: PROTOCOL_VERSIONS, ...introduce(handshake), nonce }))
}

/** The listening end: waits for hello, answers with the welcome or a fault, and waits for the proof. */
export const admit = (handshake: Handshake): void => {
  const { channel, identity, membership } = handshake
  let known: { readonly hello: Introduction; readonly said: Uint8Array } | undefined
  begin(handshake, (frame, steps) => {
    if (known !== undefined) {
      const { hello, said } = known
      if (frame.kind === "fault") return steps.fail(`the peer refuses: ${frame.body.detail}`)
      if (frame.kind !== "proof") return steps.refuse(never("protocol", `"${frame.kind}" came instead of a proof`))
      if (!isSigned(hello.peer, "proof", said, frame.body.signature)) return steps.refuse(unproven(hello.peer))
      return steps.succeed(hello)
    }
    if (frame.kind !== "hello") return steps.refuse(never("protocol", `"${frame.kind}" came instead of a hello`))
    const { nonce: theirs, ...hello } = frame.body
    const version = negotiate(PROTOCOL_VERSIONS, hello.versions)
    if (version === undefined) {
      const ours = PROTOCOL_VERSIONS.join(", ")
      return steps.refuse(
        never("version", `versions ${ours} are spoken here, not ${hello.versions.join(", ")}`),
        frame.request
      )
    }
    if (isAnother(channel, hello.peer)) return steps.refuse(unproven(hello.peer), frame.request)
    const refusal = membership?.refusal(hello.peer, hello.credential, "use")
    if (refusal !== undefined) return steps.refuse(never("unauthorized", refusal), frame.request)
    const nonce = randomBytes(NONCE_BYTES)
    const said = transcript(theirs, nonce, hello.peer, identity.peer)
    known = { hello, said }
    const { peer, software, credential } = introduce(handshake)
    const signature = identity.sign("welcome", said)
    channel.send(
      encodeFrame("welcome", frame.request, {
        version,
        peer,
        software,
        nonce,
        signature,
        ...(credential === undefined ? {} : { credential })
      })
    )
  })
}

const introduce = ({ identity, membership, self }: Handshake) => ({
  peer: identity.peer,
  ...self(),
  ...(membership === undefined ? {} : { credential: membership.credential })
})

/** What both ends sign. Ids are of one length, so no two handshakes give the same bytes. */
const transcript = (dialler: Uint8Array, listener: Uint8Array, dials: string, listens: string): Uint8Array =>
  Buffer.concat([dialler, listener, Buffer.from(`${dials} ${listens}`)])

/** Whether the carrier knows better who is there: somebody between the two would be another. */
const isAnother = (channel: Channel, peer: string): boolean => channel.peer !== undefined && channel.peer !== peer

const unproven = (peer: string): Fault =>
  never("unauthorized", `the peer is not who it claims to be: "${peer.slice(0, 64)}"`)

interface Steps {
  readonly succeed: (peer: Introduction) => void
  /** Closes the channel. */
  readonly fail: (detail: string, reason?: "handshake" | "timeout") => void
  /** Tells the peer why, then fails. */
  readonly refuse: (fault: Fault, request?: number) => void
}

const begin = (handshake: Handshake, onFrame: (frame: Frame, steps: Steps) => void): void => {
  const { channel, deadlines } = handshake
  let over = false
  const end = (): boolean => {
    if (over) return false
    over = true
    deadlines.delete(deadline)
    return true
  }
  const steps: Steps = {
    succeed: (peer) => {
      if (end()) handshake.done(peer)
    },
    fail: (detail, reason = "handshake") => {
      if (!end()) return
      channel.close(detail)
      handshake.failed(detail, reason)
    },
    refuse: (fault, request = 0) => {
      channel.send(encodeFrame("fault", request, fault))
      steps.fail(fault.detail)
    }
  }
  const deadline: Deadline = {
    at: inSeconds(handshake.seconds),
    expire: () => steps.fail(`no handshake within ${handshake.seconds} s`, "timeout")
  }
  deadlines.add(deadline)
  channel.closed.then((closed) => steps.fail(`the channel closed during the handshake: ${closed.detail}`))
  channel.receive((bytes) => {
    if (over) return
    let frame: Frame
    try {
      frame = decodeFrame(bytes)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return steps.refuse(never(error.reason === "version" ? "version" : "protocol", error.message))
    }
    onFrame(frame, steps)
  })
}
