/** Quantizes a matrix to 4 bits in two block sizes and says what it costs. */
import { quantizationError, quantize } from "@swarm/quant"

const [rows, columns] = [64, 256]
const weights = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 12.9898) * Math.cos(i * 0.37))
for (const blockSize of [32, 128]) {
  const linear = quantize(weights, rows, columns, { bits: 4, blockSize })
  const bytes = linear.packed.length + linear.scales.byteLength
  const error = quantizationError(weights, linear)
  console.log(`blocks of ${blockSize}: ${bytes} bytes, relative squared error below one in a hundred: ${error < 0.01}`)
}
// prints: blocks of 32: 10240 bytes, relative squared error below one in a hundred: true
// blocks of 128: 8704 bytes, relative squared error below one in a hundred: true
