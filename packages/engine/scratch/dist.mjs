import {Engine,layerBinding,layerCapi} from "../dist/index.js";import * as Effect from "effect/Effect";import {graph} from "@swarm/onnx"
const g=graph();const x=g.input("x","f32",["n",4]);g.output(g.node("Relu",[x],{name:"y"}),"f32",["n",4])
for(const l of [layerBinding,layerCapi])await Effect.runPromise(Effect.scoped(Effect.gen(function*(){const e=yield* Engine;console.log(e.info.layer,(yield* e.load({model:g.bytes()})).inputs)})).pipe(Effect.provide(l)))
