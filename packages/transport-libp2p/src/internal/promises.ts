/**
 * What libp2p 3 expects of Node 22, for Node 20. Remove with Node 20.
 * @module
 */

interface Resolvers {
  readonly promise: Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

const target: PromiseConstructor & { withResolvers?: () => Resolvers } = Promise

target.withResolvers ??= (): Resolvers => {
  let resolve: Resolvers["resolve"] = () => {}
  let reject: Resolvers["reject"] = () => {}
  const promise = new Promise<unknown>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
