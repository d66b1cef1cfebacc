/**
 * Hello and welcome: who is there, and which version is spoken. Callbacks, not promises: the connection must take the
 * channel over in the very turn in which the handshake ends.
 * @module
 */
import {
  decodeFrame,
  encodeFrame,
  type Fault,
  type Frame,
  type Hello,
  negotiate,
  never,
  PROTOCOL_VERSIONS,
  ProtocolError
} from "@swarm/protocol"
import type { Channel } from "../Transport.ts"
import { type Deadline, type Deadlines, inSeconds } from "./Deadlines.ts"

/** Request number of the hello: a channel's first. */
const HELLO_REQUEST = 1

export interface Handshake {
  readonly channel: Channel
  /** What we say of ourselves. */
  readonly self: () => Hello
  readonly deadlines: Deadlines
  readonly seconds: number
  /** The peer is known. Sets the channel's receiver before it returns. */
  readonly done: (hello: Hello) => void
  /** There is no peer to talk to; the channel is closed. */
  readonly failed: (detail: string, reason: "handshake" | "timeout") => void
}

/** The dialling end: says hello and waits for the welcome. */
export const greet = (handshake: Handshake): void => {
  begin(handshake, (frame, steps) => {
    if (frame.kind === "fault") return steps.fail(`the peer refuses: ${frame.body.detail}`)
    if (frame.kind !== "welcome") return steps.refuse(never("protocol", `"${frame.kind}" came instead of a welcome`))
    const { version, peer, software } = frame.body
    if (!PROTOCOL_VERSIONS.includes(version))
      return steps.refuse(never("version", `version ${version} is not spoken here`))
    steps.succeed({ versions: [version], peer, software })
  })
  handshake.channel.send(encodeFrame("hello", HELLO_REQUEST, handshake.self()))
}

/** The listening end: waits for hello and answers with the welcome, or with the fault `version`. */
export const admit = (handshake: Handshake): void => {
  begin(handshake, (frame, steps) => {
    if (frame.kind !== "hello") return steps.refuse(never("protocol", `"${frame.kind}" came instead of a hello`))
    const version = negotiate(PROTOCOL_VERSIONS, frame.body.versions)
    if (version === undefined) {
      const ours = PROTOCOL_VERSIONS.join(", ")
      return steps.refuse(
        never("version", `versions ${ours} are spoken here, not ${frame.body.versions.join(", ")}`),
        frame.request
      )
    }
    const { peer, software } = handshake.self()
    handshake.channel.send(encodeFrame("welcome", frame.request, { version, peer, software }))
    steps.succeed(frame.body)
  })
}

interface Steps {
  readonly succeed: (hello: Hello) => void
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
    succeed: (hello) => {
      if (end()) handshake.done(hello)
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
    expire: () => steps.fail(`no hello within ${handshake.seconds} s`, "timeout")
  }
  deadlines.add(deadline)
  channel.closed.then((closed) => steps.fail(`the channel closed before the welcome: ${closed.detail}`))
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
