import {graph} from "@swarm/onnx"
import {Engine,layerCapi} from "../src/index.ts"
import * as Effect from "effect/Effect"
const g=graph();const x=g.input("x","f32",["n",4]);const one=g.constant("one","f32",[],Float32Array.of(1));g.output(g.node("Add",[x,one],{name:"y"}),"f32",["n",4])
await Effect.runPromise(Effect.scoped(Effect.gen(function*(){
 const e=yield* Engine;console.log(e.info)
 const p=yield* e.load({model:g.bytes()});console.log(p.inputs,p.outputs)
 const b=p.bind(),X=e.tensor("f32",[2,4]),Y=e.tensor("f32",[2,4]);X.data!.fill(3 as never);b.input("x",X);b.output("y",Y);
 yield* Effect.promise(()=>b.run());console.log(Y.data)
 for(let r=0;r<5;r++){const t=performance.now();for(let i=0;i<5000;i++)yield* Effect.promise(()=>b.run());console.log("us/run",(performance.now()-t)/5)}
 for(let r=0;r<5;r++){const t=performance.now();yield* Effect.promise(async()=>{for(let i=0;i<5000;i++)await b.run()});console.log("plain us/run",(performance.now()-t)/5)}
 console.log((yield* Effect.flip(e.load({model:new Uint8Array(100).fill(3)}))).message)
 yield* Effect.sync(()=>b.close());const b2=p.bind();b2.input("x",X);console.log((yield* Effect.flip(Effect.tryPromise({try:()=>b2.run(),catch:(x)=>x as Error}))).message);const Z=e.tensor("f32",[3,4]);b2.output("y",Z);console.log((yield* Effect.flip(Effect.tryPromise({try:()=>b2.run(),catch:(x)=>x as Error}))).message)
}).pipe(Effect.provide(layerCapi))))
