import * as fs from "node:fs";import {readExternalData} from "@swarm/onnx"
const F="/tmp/packtest";const e=readExternalData(fs.readFileSync(F+"/opt.onnx"));const src=fs.openSync(F+"/opt.bin","r"),out=fs.openSync(F+"/full.bin","w");let at=0;const m:any={}
const put=(o:number,l:number)=>{at=Math.ceil(at/4096)*4096;const b=Buffer.alloc(l);fs.readSync(src,b,0,l,o);fs.writeSync(out,b,0,l,at);const s=at;at+=l;return s}
for(const [n,x] of e){const ex:any={};let hole=false;for(const [k,v] of Object.entries(x.extra??{})){const [key,rest]=v.split("|");const [o,l,...more]=rest!.split(";");ex[k]=`${key}|${put(+o!,+l!)};${l};${more.join(";")}`;hole=true}
 let s;if(false){at=Math.ceil(at/4096)*4096;s=at;at+=x.length}else s=put(x.offset,x.length);m[n]={location:"full.bin",offset:s,length:x.length,extra:ex}}
fs.ftruncateSync(out,at);fs.writeFileSync(F+"/full.json",JSON.stringify(m));console.log(at,fs.fstatSync(out).blocks*512)
