"""Logits of a quantized checkpoint as transformers computes them, beside those that `swarm logits` wrote.

usage: python transformers_logits.py CHECKPOINT IDS.json OURS.safetensors

Needs torch, transformers, safetensors; for GPTQ also optimum and gptqmodel; for NF4 and LLM.int8 bitsandbytes.
"""
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPTQConfig

folder, ids_file, ours_file = sys.argv[1:]
torch.set_num_threads(1)
stored = json.load(open(f"{folder}/config.json"))["quantization_config"]
# the backend without kernels that have to be compiled, and that computes in f32
quantization = GPTQConfig(bits=stored["bits"], backend="gptq_torch") if stored["quant_method"] == "gptq" else None
more = {} if quantization is None else {"quantization_config": quantization}
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, device_map="cpu", **more)
kinds = sorted({type(module).__name__ for name, module in model.named_modules() if name.endswith("proj")})
ids = json.load(open(ids_file))
with torch.no_grad():
    theirs = model(torch.tensor([ids])).logits[0].float()
    greedy = model.generate(torch.tensor([ids[:8]]), max_new_tokens=40, min_new_tokens=40, do_sample=False)[0, 8:].tolist()
ours = load_file(ours_file)["logits"].float()
print(
    json.dumps(
        {
            "checkpoint": folder,
            "layers": kinds,
            "largest": ((theirs - ours).abs().max() / theirs.abs().max()).item(),
            "first choices": f"{(theirs.argmax(-1) == ours.argmax(-1)).sum().item()} of {len(ids)}",
            "greedy": greedy,
        }
    )
)
