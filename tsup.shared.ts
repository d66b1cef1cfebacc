import type { Options } from "tsup"

/** What every package's build shares. Declarations are left out where only running matters (`SWARM_BUILD=run`). */
export const shared: Options = {
  format: "esm",
  target: "node20",
  dts: process.env.SWARM_BUILD === "run" ? false : { compilerOptions: { composite: false, incremental: false } },
  sourcemap: true,
  clean: true,
  silent: true
}
