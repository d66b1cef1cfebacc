/**
 * Predicted latencies of the paper's two MLPs at 1, 2, 4 and 8 ranks, beside the published ones.
 * usage: node --import tsx --conditions=swarm-src examples/tp-plan.ts
 * @module
 */
import { machines, pairCost, published, publishedShapes } from "@swarm/tp-kernels"

const rows = [1, 2, 4, 8, 16]

console.log("| machine | model | ranks | naive ms | aware ms | ratio | published naive | aware | ratio |")
console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for (const name of ["A100", "A100-as-published", "H100", "H100-as-published"] as const) {
  for (const model of ["Llama-70B", "Granite-20B"] as const) {
    for (const ranks of [1, 2, 4, 8]) {
      const mean = (algorithm: "naive" | "aware"): number => {
        const options = { machine: machines[name], algorithm, ranks, weightBits: 16 }
        const costs = rows.map((count) => pairCost(publishedShapes[model], { ...options, rows: count }).total)
        return (1e3 * costs.reduce((a, b) => a + b, 0)) / rows.length
      }
      const [naive, aware] = [mean("naive"), mean("aware")]
      const known = published.find(
        (entry) => name.startsWith(entry.gpu) && entry.model === model && entry.ranks === ranks
      )
      const cells = [naive.toFixed(3), aware.toFixed(3), (naive / aware).toFixed(2)]
      const beside = [known?.naive, known?.aware, known?.ratio].map((value) => value ?? "")
      console.log(`| ${[name, model, ranks, ...cells, ...beside].join(" | ")} |`)
    }
  }
}
// prints: | A100 | Llama-70B | 1 |
// | H100-as-published | Granite-20B | 8 | 0.221 | 0.128 | 1.73 | 0.252 | 0.148 | 1.7 |
