/**
 * Channels within one process: for tests and for peers that share one.
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Closing } from "./internal/Closing.ts"
import { Inbox } from "./internal/Inbox.ts"
import { MAX_WAITING_BYTES, MAX_WAITING_MESSAGES } from "./Limits.ts"
import { type Channel, type Service, Transport } from "./Transport.ts"
import { type ChannelClosed, DialError, ListenError } from "./TransportError.ts"

const SCHEME = "memory:"

interface Listener {
  readonly accept: (channel: Channel) => void
  readonly ends: Set<End>
}

/**
 * Channels by name, `memory:anything`; `memory:` alone listens on a name of its own. Each build of the layer is a world
 * of its own.
 *
 * Like sockets, messages arrive in order in a later turn of the loop, several at once, and before the close that
 * follows them. A message is copied when it is delivered, not when it is sent: whoever changes it in between sees it arrive
 * changed, and two ends never share memory.
 *
 * @example Two ends
 * ```ts
 * import { layerMemory, Transport } from "@swarm/transport"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const transport = yield* Transport
 *   const address = yield* transport.listen("memory:b", (channel) => channel.receive((message) => channel.send(message)))
 *   const channel = yield* transport.dial(address)
 *   const answer = new Promise<Uint8Array>((resolve) => channel.receive(resolve))
 *   channel.send(Uint8Array.of(1, 2, 3))
 *   console.log(yield* Effect.promise(() => answer)) // => Uint8Array(3) [ 1, 2, 3 ]
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layerMemory)))
 * ```
 */
export const layerMemory: Layer.Layer<Transport> = Layer.sync(Transport, () => makeMemory())

/** The service of {@link layerMemory}. */
export const makeMemory = (): Service => {
  const listeners = new Map<string, Listener>()
  let names = 0

  const open = (address: string): Effect.Effect<End, DialError> =>
    Effect.suspend(() => {
      const fail = (reason: DialError["reason"], detail: string) =>
        Effect.fail(new DialError({ address, reason, detail }))
      if (!address.startsWith(SCHEME) || address === SCHEME) return fail("address", `not of the form "${SCHEME}name"`)
      const listener = listeners.get(address)
      if (listener === undefined) return fail("refused", "nobody listens there")
      const [here, there] = pair(address, `${SCHEME}#${++names}`)
      listener.ends.add(there)
      there.channel.closed.then(() => listener.ends.delete(there))
      listener.accept(there.channel)
      return Effect.succeed(here)
    })

  return {
    dial: (address) =>
      Effect.map(
        Effect.acquireRelease(open(address), (end) => Effect.sync(() => end.close("the scope closed"))),
        (end) => end.channel
      ),
    listen: (address, accept) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const name = address === SCHEME ? `${SCHEME}${++names}` : address
          const fail = (detail: string) => Effect.fail(new ListenError({ address, detail }))
          if (!name.startsWith(SCHEME)) return fail(`not of the form "${SCHEME}name"`)
          if (listeners.has(name)) return fail("somebody listens there")
          listeners.set(name, { accept, ends: new Set() })
          return Effect.succeed(name)
        }),
        (name) =>
          Effect.sync(() => {
            const listener = listeners.get(name)
            listeners.delete(name)
            for (const end of listener?.ends ?? []) end.close("the listener closed")
          })
      )
  }
}

const pair = (dialled: string, dialler: string): readonly [End, End] => {
  const here = new End(dialled)
  const there = new End(dialler)
  here.other = there
  there.other = here
  return [here, there]
}

class End {
  /** Set once, by {@link pair}. */
  other: End | undefined
  readonly channel: Channel
  readonly #closing: Closing
  readonly #inbox = new Inbox<Uint8Array>(MAX_WAITING_MESSAGES, MAX_WAITING_BYTES)
  #queue: Array<Uint8Array> = []
  #bytes = 0
  #scheduled = false
  /** What the other end is told after the last message. */
  #farewell: string | undefined

  constructor(remote: string) {
    this.#closing = new Closing(remote)
    this.channel = {
      remote,
      send: (message) => this.#send(message),
      buffered: () => this.#bytes,
      receive: (receiver) =>
        this.#inbox.receive((message) => {
          if (this.#closing.closed?.reason !== "local") receiver(message)
        }),
      closed: this.#closing.promise,
      close: (reason = "closed here") => this.close(reason)
    }
  }

  close(detail: string): void {
    this.#end("local", detail)
  }

  #end(reason: ChannelClosed["reason"], detail: string): void {
    if (this.#closing.settle(reason, detail) === undefined) return
    this.#farewell = detail
    this.#schedule()
  }

  #send(message: Uint8Array): boolean {
    if (this.#closing.closed !== undefined) return false
    this.#queue.push(message)
    this.#bytes += message.length
    this.#schedule()
    return true
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#flush())
  }

  /** Delivers what was queued when the turn began; what receivers send meanwhile goes out in the next turn. */
  #flush(): void {
    this.#scheduled = false
    const other = this.other
    const queue = this.#queue
    this.#queue = []
    this.#bytes = 0
    if (other === undefined) return
    for (const message of queue) other.#accept(message)
    if (this.#farewell === undefined) return
    if (this.#queue.length > 0) this.#schedule()
    else other.#closing.settle("remote", this.#farewell)
  }

  #accept(message: Uint8Array): void {
    if (this.#closing.closed !== undefined) return
    if (!this.#inbox.deliver(message.slice(), message.length))
      this.#end("overflow", "messages wait for a receiver that is not set")
  }
}
