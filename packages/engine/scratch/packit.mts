import * as fs from "node:fs";import {Engine,layerCapi} from "../src/index.ts";import * as Effect from "effect/Effect";import {makeGraph,mem} from "./model.mts"
const F="/tmp/packtest";const map=JSON.parse(fs.readFileSync(F+"/raw.json","utf8"))
await Effect.runPromise(Effect.scoped(Effect.gen(function*(){const e=yield* Engine;console.log(mem());const t=performance.now();let ticks=0;const iv=setInterval(()=>ticks++,2)
const p=yield* e.pack!({model:makeGraph(1,n=>map[n]),folder:F},"packed.bin");clearInterval(iv);console.log(performance.now()-t,ticks,p.bytes,mem())
const m:any={};for(const [n,x] of p.entries)m[n]={location:p.location,offset:x.offset,length:x.length,extra:x.prepacked};fs.writeFileSync(F+"/packed.json",JSON.stringify(m));console.log(fs.readdirSync(F))
}).pipe(Effect.provide(layerCapi))))
