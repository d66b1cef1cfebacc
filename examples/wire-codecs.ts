/** What each wire codec makes of a row of activations. */
import { codec, wireCodecs } from "@swarm/quant"

const x = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i) * 4)
for (const name of wireCodecs) {
  const { bytes, encode, decode } = codec(name)
  const wire = new Uint8Array(bytes(x.length))
  encode(x, wire)
  const back = new Float32Array(x.length)
  decode(wire, back)
  const worst = Math.max(...x.map((value, i) => Math.abs(value - (back[i] ?? 0))))
  console.log(`${name}: ${wire.length} bytes, off by at most ${worst === 0 ? "nothing" : worst.toPrecision(1)}`)
}
// prints: f32: 4096 bytes, off by at most nothing
// f16: 2048 bytes
// bf16: 2048 bytes
// int8: 1056 bytes
