import * as fs from "node:fs";import * as crypto from "node:crypto";import {Engine,layerCapi} from "../src/index.ts";import * as Effect from "effect/Effect";import {makeGraph,cfg,mem} from "./model.mts"
const F="/tmp/packtest";const [kind,B]=[process.argv[2]!,+(process.argv[3]??1)];const map=JSON.parse(fs.readFileSync(`${F}/${kind}.json`,"utf8"))
await Effect.runPromise(Effect.scoped(Effect.gen(function*(){
 const e=yield* Engine;console.log(mem());let t=performance.now()
 const p=yield* e.load({model:makeGraph(B,n=>map[n]),folder:F},{packed:kind==="packed"});console.log("load ms",(performance.now()-t).toFixed(0),mem())
 const b=p.bind();const kv:any[]=[];for(let s=0;s<B;s++){for(let l=0;l<cfg.L;l++)for(const k of ["k","v"]){const T=e.tensor("f32",[1,cfg.kv,cfg.max,cfg.d],{resident:true});b.input(`past_${k}_${l}_${s}`,T);b.output(`present_${k}_${l}_${s}`,T);kv.push(T)}}
 const step=(T:number[],pos:number)=>{const n=T.reduce((a,c)=>a+c,0);const X=e.tensor("f32",[1,n,cfg.h]),Y=e.tensor("f32",[1,n,cfg.h]);const d=X.data as Float32Array;for(let i=0;i<d.length;i++)d[i]=Math.sin(i*.7+pos);b.input("x",X);b.output("y",Y)
  if(B>1){const S=e.tensor("i64",[B]);T.forEach((v,i)=>{(S.data as BigInt64Array)[i]=BigInt(v)});b.input("split",S)}
  for(let s=0;s<B;s++){const la=e.tensor("i32",[1]),to=e.tensor("i32",[1]);(la.data as Int32Array)[0]=pos+T[s]!-1;(to.data as Int32Array)[0]=pos+T[s]!;b.input("last_"+s,la);b.input("total_"+s,to)}
  return {Y,run:()=>b.run()}}
 const a=step(Array(B).fill(64),0);yield* Effect.promise(a.run);const h=crypto.createHash("md5").update(a.Y.data as any);
 const c=step(Array(B).fill(2),64);yield* Effect.promise(c.run);h.update(c.Y.data as any);console.log(kind,B,h.digest("hex"),(a.Y.data as Float32Array)[5],(c.Y.data as Float32Array)[5],mem())
 let best=1e9;for(let r=0;r<4;r++){t=performance.now();for(let i=0;i<10;i++)yield* Effect.promise(c.run);best=Math.min(best,(performance.now()-t)/10)}console.log("decode ms",best.toFixed(2))
 const pf=step(Array(B).fill(256),0);t=performance.now();yield* Effect.promise(pf.run);console.log("prefill256 ms",(performance.now()-t).toFixed(0),mem());t=performance.now();yield* Effect.promise(pf.run);console.log("again ms",(performance.now()-t).toFixed(0),mem())
}).pipe(Effect.provide(layerCapi))))
