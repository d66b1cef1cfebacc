import {graph} from "@swarm/onnx"
import {Engine,layerBinding} from "../src/index.ts"
import * as Effect from "effect/Effect"
import {makeGraph,cfg,mem} from "./model.mts";import * as fs from "node:fs"
const F="/tmp/packtest";const map=JSON.parse(fs.readFileSync(`${F}/raw.json`,"utf8"));import * as crypto from "node:crypto"
const g=graph();const x=g.input("x","f32",["n",4]);const one=g.constant("one","f32",[],Float32Array.of(1));g.output(g.node("Add",[x,one],{name:"y"}),"f32",["n",4])
await Effect.runPromise(Effect.scoped(Effect.gen(function*(){
 const e=yield* Engine;console.log(e.info)
 const p=yield* e.load({model:g.bytes()});console.log(p.inputs,p.outputs)
 const b=p.bind(),X=e.tensor("f32",[2,4]),Y=e.tensor("f32",[2,4]);X.data!.fill(3 as never);b.input("x",X);b.output("y",Y);
 yield* Effect.promise(()=>b.run());console.log(Y.data)
 for(let r=0;r<5;r++){const t=performance.now();yield* Effect.promise(async()=>{for(let i=0;i<1000;i++)await b.run()});console.log("plain us/run",(performance.now()-t))}
 console.log((yield* Effect.flip(e.load({model:new Uint8Array(100).fill(3)}))).message)
 const Z=e.tensor("f32",[3,4]);b.output("y",Z);console.log((yield* Effect.flip(Effect.tryPromise({try:()=>b.run(),catch:(x)=>x as Error}))).message)
 {const B=1;const p=yield* e.load({model:makeGraph(B,n=>map[n]),folder:F});
 const b=p.bind();for(let s=0;s<B;s++){for(let l=0;l<cfg.L;l++)for(const k of ["k","v"]){const T=e.tensor("f32",[1,cfg.kv,cfg.max,cfg.d],{resident:true});b.input(`past_${k}_${l}_${s}`,T);b.output(`present_${k}_${l}_${s}`,T)}}
 const step=(T:number[],pos:number)=>{const n=T.reduce((a,c)=>a+c,0);const X=e.tensor("f32",[1,n,cfg.h]),Y=e.tensor("f32",[1,n,cfg.h]);const d=X.data as Float32Array;for(let i=0;i<d.length;i++)d[i]=Math.sin(i*.7+pos);b.input("x",X);b.output("y",Y)
  for(let s=0;s<B;s++){const la=e.tensor("i32",[1]),to=e.tensor("i32",[1]);(la.data as Int32Array)[0]=pos+T[s]!-1;(to.data as Int32Array)[0]=pos+T[s]!;b.input("last_"+s,la);b.input("total_"+s,to)}
  return {Y,run:()=>b.run()}}
 const a=step(Array(B).fill(64),0);yield* Effect.promise(a.run);const h=crypto.createHash("md5").update(Buffer.from(new Uint8Array((a.Y.data as any).buffer)));
 const c=step(Array(B).fill(2),64);yield* Effect.promise(c.run);h.update(Buffer.from(new Uint8Array((c.Y.data as any).buffer)));console.log(B,h.digest("hex"),(a.Y.data as Float32Array)[5],(c.Y.data as Float32Array)[5],mem())
 for(let i=0;i<4;i++){const t=performance.now();yield* Effect.promise(c.run);console.log("decode",performance.now()-t)}}
}).pipe(Effect.provide(layerBinding))))
