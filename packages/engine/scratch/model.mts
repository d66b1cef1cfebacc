import {graph,type ExternalData} from "@swarm/onnx"
import * as fs from "node:fs"
export const cfg={h:1024,heads:16,kv:4,d:64,ff:2816,L:+(process.env.L??12),max:1024}
let seed=1;const rnd=()=>{seed=(seed*1664525+1013904223)>>>0;return seed/2**32}
export const makeGraph=(B:number,locate:(n:string,bytes:()=>Uint8Array)=>ExternalData)=>{
 const g=graph();const {h,heads,kv,d,ff,L,max}=cfg
 let x=g.input("x","f32",[1,"t",h]);const split=B>1?g.input("split","i64",[B]):""
 const f=(name:string,n:number,make:(i:number)=>number)=>()=>{const a=new Float32Array(n);for(let i=0;i<n;i++)a[i]=make(i);return new Uint8Array(a.buffer)}
 const ext=(name:string,type:any,shape:number[],make:()=>Uint8Array)=>g.external(name,type,shape,locate(name,make))
 const lin=(name:string,inp:string,K:number,N:number,bits=4)=>{const nb=K/32,bytes=32*bits/8
  const W=ext(name+".q","u8",[N,nb,bytes],()=>{const a=new Uint8Array(N*nb*bytes);for(let i=0;i<a.length;i++)a[i]=rnd()*256;return a})
  const S=ext(name+".s","f32",[N*nb],f(name,N*nb,()=>(rnd()+.5)*0.01*(bits===8?1/16:1)))
  return g.node("MatMulNBits",[inp,W,S],{domain:"com.microsoft",attributes:{K:{i:K},N:{i:N},bits:{i:bits},block_size:{i:32},accuracy_level:{i:4}}})}
 const norm=(name:string,inp:string)=>g.node("SimplifiedLayerNormalization",[inp,ext(name,"f32",[h],f(name,h,()=>1+rnd()*.1))],{attributes:{axis:{i:-1},epsilon:{f:1e-5}}})
 const cos=ext("cos","f32",[max,d/2],f("cos",max*d/2,i=>Math.cos(Math.floor(i/32)*10000**(-(i%32)/32))))
 const sin=ext("sin","f32",[max,d/2],f("sin",max*d/2,i=>Math.sin(Math.floor(i/32)*10000**(-(i%32)/32))))
 const last:string[]=[],total:string[]=[];for(let s=0;s<B;s++){last.push(g.input("last_"+s,"i32",[1]));total.push(g.input("total_"+s,"i32",[1]))}
 for(let l=0;l<L;l++){
  const qkv=lin(`l${l}.qkv`,norm(`l${l}.n1`,x),h,(heads+2*kv)*d,l%2?8:4)
  const parts=B>1?g.nodes("Split",[qkv,split],Array.from({length:B},(_,s)=>`p${l}_${s}`),{attributes:{axis:{i:1}}}):[qkv]
  const outs=parts.map((p,s)=>{const sh=[1,kv,max,d];const pk=g.input(`past_k_${l}_${s}`,"f32",sh),pv=g.input(`past_v_${l}_${s}`,"f32",sh)
   const [o]=g.nodes("GroupQueryAttention",[p,"","",pk,pv,last[s]!,total[s]!,cos,sin],[`o${l}_${s}`,`present_k_${l}_${s}`,`present_v_${l}_${s}`],{domain:"com.microsoft",attributes:{num_heads:{i:heads},kv_num_heads:{i:kv},do_rotary:{i:1}}})
   g.output(`present_k_${l}_${s}`,"f32",sh);g.output(`present_v_${l}_${s}`,"f32",sh);return o!})
  const att=B>1?g.node("Concat",outs,{attributes:{axis:{i:1}}}):outs[0]!
  x=g.node("Add",[x,lin(`l${l}.o`,att,h,h,l%2?8:4)])
  const gu=lin(`l${l}.gu`,norm(`l${l}.n2`,x),h,2*ff);const [ga,up]=g.nodes("Split",[gu],[`ga${l}`,`up${l}`],{attributes:{axis:{i:-1},num_outputs:{i:2}}})
  const act=g.node("Mul",[g.node("Mul",[ga!,g.node("Sigmoid",[ga!])]),up!])
  x=g.node("Add",[x,lin(`l${l}.d`,act,ff,h)])
 }
 g.node("Identity",[x],{name:"y"});g.output("y","f32",[1,"t",h]);return g.bytes()}
export const writeRaw=(folder:string)=>{fs.mkdirSync(folder,{recursive:true});const fd=fs.openSync(folder+"/raw.bin","w");let at=0;const m:Record<string,ExternalData>={}
 makeGraph(1,(n,b)=>{const d=b();at=Math.ceil(at/4096)*4096;fs.writeSync(fd,d,0,d.length,at);m[n]={location:"raw.bin",offset:at,length:d.length};at+=d.length;return m[n]});fs.closeSync(fd);fs.writeFileSync(folder+"/raw.json",JSON.stringify(m))}
export const mem=()=>{const s=fs.readFileSync("/proc/self/status","utf8");const v=(k:string)=>(+new RegExp(k+":\\s+(\\d+)").exec(s)![1]!/1e3).toFixed(0);return `rss ${v("VmRSS")} anon ${v("RssAnon")} file ${v("RssFile")} peak ${v("VmHWM")}`}
