const {Engine,layerCapi}=await import("../src/index.ts");const Effect=await import("effect/Effect");const {makeGraph,cfg,mem}=await import("./model.mts");const fs=await import("node:fs")
const F="/tmp/packtest";
await Effect.runPromise(Effect.gen(function*(){const e=yield* Engine
for(const kind of ["raw","packed","raw","packed"]){const map=JSON.parse(fs.readFileSync(`${F}/${kind}.json`,"utf8"))
 yield* Effect.scoped(Effect.gen(function*(){const p=yield* e.load({model:makeGraph(1,n=>map[n]),folder:F});console.log(kind,"loaded",mem())}));console.log("closed",mem())}
}).pipe(Effect.provide(layerCapi),Effect.scoped))
