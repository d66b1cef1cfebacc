import koffi from "koffi"
const {Engine,layerCapi}=await import("../src/index.ts");const Effect=await import("effect/Effect");const {makeGraph,cfg,mem}=await import("./model.mts");const fs=await import("node:fs")
const F="/tmp/packtest";const map=JSON.parse(fs.readFileSync(`${F}/packed.json`,"utf8"))
await Effect.runPromise(Effect.scoped(Effect.gen(function*(){
 const e=yield* Engine;const p=yield* e.load({model:makeGraph(1,n=>map[n]),folder:F});console.log("loaded",mem())
 const b=p.bind();for(let l=0;l<cfg.L;l++)for(const k of ["k","v"]){const T=e.tensor("f32",[1,cfg.kv,cfg.max,cfg.d],{resident:true});b.input(`past_${k}_${l}_0`,T);b.output(`present_${k}_${l}_0`,T)}
 const la=e.tensor("i32",[1]),to=e.tensor("i32",[1]);b.input("last_0",la);b.input("total_0",to)
 const step=(n:number,pos:number)=>{const X=e.tensor("f32",[1,n,cfg.h]),Y=e.tensor("f32",[1,n,cfg.h]);b.input("x",X);b.output("y",Y);(la.data as Int32Array)[0]=pos+n-1;(to.data as Int32Array)[0]=pos+n;return ()=>{X.free();Y.free()}}
 let f=step(512,0);yield* Effect.promise(b.run);f();console.log("first",mem());let best=1e9,dbest=1e9
 for(let r=0;r<10;r++){const f=step(512-r*8,0);const t=performance.now();yield* Effect.promise(b.run);best=Math.min(best,(performance.now()-t)/(512-r*8));f();if(r%3==0)console.log(mem())}
 f=step(2,100);for(let r=0;r<100;r++){const t=performance.now();yield* Effect.promise(b.run);dbest=Math.min(dbest,performance.now()-t)}
 console.log("prefill ms/token",best.toFixed(3),"decode2",dbest.toFixed(2),mem())
}).pipe(Effect.provide(layerCapi))))
