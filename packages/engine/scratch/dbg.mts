import * as fs from "node:fs";import {graph} from "@swarm/onnx";import {Engine,layerCapi} from "../src/index.ts";import * as Effect from "effect/Effect";import {mem} from "./model.mts"
const folder="/tmp/dbg";fs.mkdirSync(folder,{recursive:true});const columns=1024,layers=64,bytes=columns*columns/2
const sc=+process.env.SC!
fs.writeFileSync(folder+"/raw.bin",Buffer.alloc(bytes*layers+columns*32*4*layers,0x3c))
const build=()=>{const g=graph();let x=g.input("x","f32",["rows",columns]);const mk=(n:number)=>g.external("scales"+n,"f32",[columns*32],{location:"raw.bin",offset:bytes*layers+n*columns*128,length:columns*128});const s0=mk(0)
for(let l=0;l<layers;l++){const c=g.external(`${l}`,"u8",[columns,32,16],{location:"raw.bin",offset:l*bytes,length:bytes});x=g.node("MatMulNBits",[x,c,sc&&l?mk(l):s0],{domain:"com.microsoft",attributes:{K:{i:columns},N:{i:columns},bits:{i:4},block_size:{i:32},accuracy_level:{i:4}}})}
g.output(x,"f32",["rows",columns]);return g.bytes()}
await Effect.runPromise(Effect.scoped(Effect.gen(function*(){const e=yield* Engine;console.log(mem());yield* e.load({model:build(),folder});console.log(mem());yield* e.load({model:build(),folder});console.log(mem())
if(process.env.PACK){const m=yield* e.pack!({model:build(),folder},"p.bin");console.log([...m.entries].slice(0,3))}
}).pipe(Effect.provide(layerCapi))))
