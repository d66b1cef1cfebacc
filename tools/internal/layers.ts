/**
 * The levels of the packages: which may build on which, and who may use what is heavy.
 * @module
 */

/** What a level is for, and its packages. A package may depend on lower levels only. */
export const levels: ReadonlyArray<{ readonly purpose: string; readonly packages: ReadonlyArray<string> }> = [
  { purpose: "numbers, graphs and keys, without Effect", packages: ["tensor", "onnx", "identity"] },
  { purpose: "formats and what crosses the wire, without Effect", packages: ["quant", "protocol"] },
  { purpose: "tensor parallelism", packages: ["tp-kernels"] },
  {
    purpose: "one service each: running graphs, carrying frames, keeping state, reading models",
    packages: ["engine", "transport", "transport-libp2p", "cache", "model"]
  },
  {
    purpose: "decisions over services, and models made runnable",
    packages: ["compute", "discovery", "routing", "balancer"]
  },
  {
    purpose: "the two ends of a session, and whole swarms in virtual time",
    packages: ["server", "client", "simulator"]
  },
  { purpose: "what people run", packages: ["gateway", "cli"] }
]

/** Packages for development only: they may depend on everything, nothing but a development dependency on them. */
export const development: ReadonlyArray<string> = ["testing"]

/** Edges inside a level: graphs hold elements of the types that `tensor` names; libp2p is one more `transport`. */
export const exceptions: ReadonlyArray<readonly [from: string, to: string]> = [
  ["onnx", "tensor"],
  ["transport-libp2p", "transport"]
]

/** Levels whose packages know nothing of Effect: plain functions, usable in a worker. */
export const levelsWithoutEffect: ReadonlyArray<number> = [0, 1]

/** Dependencies that are heavy, native or of a narrow purpose, each with the only packages that may use it. */
export const owners: ReadonlyArray<readonly [dependency: RegExp, packages: ReadonlyArray<string>]> = [
  [/^@bufbuild\/protobuf$/, ["onnx"]],
  [/^msgpackr$/, ["protocol"]],
  [/^(onnxruntime-node|onnxruntime-common|koffi)$/, ["engine"]],
  [/^(ws|bufferutil)$/, ["transport", "transport-libp2p"]],
  [/^(libp2p|@libp2p\/.*|@chainsafe\/.*|@multiformats\/.*)$/, ["transport-libp2p", "discovery"]],
  [/^@huggingface\//, ["model"]]
]

/** The level of a package; undefined for one that is not placed (or for development only). */
export const levelOf = (name: string): number | undefined => {
  const level = levels.findIndex(({ packages }) => packages.includes(name))
  return level < 0 ? undefined : level
}
