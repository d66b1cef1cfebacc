/**
 * Speed of the quant package on one thread: decoding and repacking of block types, quantizers, wire codecs.
 *
 * `node --import tsx --conditions=swarm-src bench/quant.ts`; each figure is the best of several runs.
 * @module
 */
import {
  blockBytes,
  blockTypes,
  codec,
  dequantize,
  quantizationError,
  quantize,
  repack,
  wireCodecs
} from "@swarm/quant"

const N = 1024
const K = 4096

/** Best time of a call in seconds. */
const best = (run: () => void, rounds = 7): number => {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < rounds; i++) {
    const start = performance.now()
    run()
    least = Math.min(least, performance.now() - start)
  }
  return least / 1000
}

const figure = (x: number): string => x.toFixed(2).padStart(9)

console.log(`weights (${N}, ${K})`.padEnd(24), "GB/s of the file's bytes, then ns per weight")
console.log("type".padEnd(10), "  repack", "         ", "   decode")
for (const { type, blockSize } of blockTypes.values()) {
  if (blockSize === 1) continue
  // Bytes under 0x3c keep every f16 scale finite.
  const bytes = Uint8Array.from({ length: blockBytes(type, N * K) }, (_, i) => Math.imul(i, 2654435761) >>> 26)
  const out = new Float32Array(N * K)
  const repacking = best(() => repack(type, bytes, N, K))
  const decoding = best(() => dequantize(type, bytes, out))
  const perWeight = 1e9 / (N * K)
  const gigabytes = bytes.length / 1e9
  console.log(
    type.padEnd(8),
    figure(gigabytes / repacking),
    figure(repacking * perWeight),
    figure(gigabytes / decoding),
    figure(decoding * perWeight)
  )
}

const VALUES = 4096 * 64
const x = Float32Array.from({ length: VALUES }, (_, i) => Math.sin(i * 1.7) * Math.exp(3 * Math.sin(i * 0.013)))

console.log(`\nwire codecs, ${VALUES} values: GB/s of f32, then ns per value`)
console.log("codec".padEnd(10), "  encode", "         ", "   decode")
for (const name of wireCodecs) {
  const { bytes, encode, decode } = codec(name)
  const data = new Uint8Array(bytes(VALUES))
  const out = new Float32Array(VALUES)
  const encoding = best(() => encode(x, data), 40)
  const decoding = best(() => decode(data, out), 40)
  const [gigabytes, perValue] = [(4 * VALUES) / 1e9, 1e9 / VALUES]
  console.log(
    name.padEnd(8),
    figure(gigabytes / encoding),
    figure(encoding * perValue),
    figure(gigabytes / decoding),
    figure(decoding * perValue)
  )
}

const w = Float32Array.from({ length: N * K }, () => 0)
let state = 1
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return (state + 0.5) / 2 ** 32
}
for (let i = 0; i < w.length; i++) w[i] = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())

console.log(`\nquantizers, normal weights (${N}, ${K}): ns per weight, squared error over squared weights`)
for (const bits of [4, 8] as const) {
  for (const blockSize of [32, 64, 128]) {
    for (const zeroPoints of [false, true]) {
      const run = () => quantize(w, N, K, { bits, blockSize, zeroPoints })
      const time = best(run, 3)
      console.log(
        `${bits} bits, ${blockSize}${zeroPoints ? ", zero points" : ""}`.padEnd(24),
        figure((time * 1e9) / (N * K)),
        quantizationError(w, run()).toExponential(3).padStart(12)
      )
    }
  }
}
