import * as fs from "node:fs";import {ort} from "../src/internal/ort.ts";import {makeGraph,writeRaw,mem} from "./model.mts"
const F="/tmp/packtest";if(!fs.existsSync(F+"/raw.json"))writeRaw(F);const map=JSON.parse(fs.readFileSync(F+"/raw.json","utf8"))
const o=ort();const so=o.make("CreateSessionOptions");o.call("SetIntraOpNumThreads",so,1);o.call("SetSessionGraphOptimizationLevel",so,+(process.env.LV??0))
o.call("DisableCpuMemArena",so)
const set=(k:string,v:string)=>o.call("AddSessionConfigEntry",so,k,v)
set("session.model_external_initializers_file_folder_path",F)
o.call("SetOptimizedModelFilePath",so,F+"/opt.onnx");set("session.optimized_model_external_initializers_file_name","opt.bin");set("session.optimized_model_external_initializers_min_size_in_bytes","0");set("session.save_external_prepacked_constant_initializers","1")
console.log(mem());const t=performance.now();const m=makeGraph(1,n=>map[n]);const s=await o.makeAsync("CreateSessionFromArray",o.environment,m,m.length,so);console.log("saved",performance.now()-t,mem());o.release("ReleaseSession",s);console.log(mem())
for(const f of fs.readdirSync(F))console.log(f,fs.statSync(F+"/"+f).size)
import {readExternalData} from "@swarm/onnx"
const e=readExternalData(fs.readFileSync(F+"/opt.onnx"));console.log(e.size,Object.keys(map).length);let k=0;for(const [n,x] of e){if(!map[n])console.log("new",n);if(k++<6||x.length<3000&&k<20)console.log(n,JSON.stringify(x))}
for(const n of Object.keys(map))if(!e.has(n))console.log("gone",n)
import koffi from "koffi"
const trim=koffi.load(null).func("int malloc_trim(size_t n)");console.log("trim",trim(0),mem())
