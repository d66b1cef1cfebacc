"""Reads a Llama checkpoint in GPTQ's layout with numpy alone, runs it in float64, and prints how well it predicts ids.

usage: check_gptq.py FOLDER IDS.json [LOGITS.safetensors]     (numpy; LOGITS: f32 `logits` of the same ids, to compare with)

It shares no code with this repository: the layout is that of AutoGPTQ, the model that of transformers' Llama.
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I32": np.int32, "U8": np.uint8, "I8": np.int8}


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            raw = data[8 + size + start : 8 + size + end]
            yield name, np.frombuffer(raw, TYPES[entry["dtype"]]).reshape(entry["shape"])


def codes(words, bits, axis):
    """A stream of codes along an axis of 32-bit words, low bits first."""
    words = np.moveaxis(words.view(np.uint32).astype(np.uint64), axis, 0)
    count = words.shape[0] * 32 // bits
    padded = np.concatenate([words, np.zeros_like(words[:1])])
    at = np.arange(count) * bits
    low, shift = padded[at // 32], (at % 32).astype(np.uint64)
    pair = low | (padded[at // 32 + 1] << np.uint64(32))
    out = (pair >> shift.reshape(-1, *[1] * (words.ndim - 1))) & np.uint64(2**bits - 1)
    return np.moveaxis(out.astype(np.int64), 0, axis)


def main():
    folder, ids = Path(sys.argv[1]), np.array(json.loads(Path(sys.argv[2]).read_text()))
    config = json.loads((folder / "config.json").read_text())
    q = config["quantization_config"]
    assert q["quant_method"] == "gptq" and q["checkpoint_format"] == "gptq", q
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    t = {name: array for file in sorted(set(index.values())) for name, array in read_safetensors(folder / file)}
    assert set(t) == set(index), "the index and the files disagree"
    bits = q["bits"]

    def linear(name, x):
        groups = t[f"{name}.g_idx"]
        zeros = (codes(t[f"{name}.qzeros"], bits, 1) + 1) & (2**bits - 1)
        weight = t[f"{name}.scales"].astype(np.float64)[groups] * (codes(t[f"{name}.qweight"], bits, 0) - zeros[groups])
        assert weight.shape[0] == x.shape[1]
        bias = t.get(f"{name}.bias")
        return x @ weight + (0 if bias is None else bias.astype(np.float64))

    def norm(name, x):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config["rms_norm_eps"]) * t[f"{name}.weight"].astype(np.float64)

    heads, kv, dim = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    base = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    angles = np.arange(len(ids))[:, None] * base ** (-np.arange(0, dim, 2) / dim)
    cos, sin = np.cos(angles)[None], np.sin(angles)[None]

    def rotate(x):
        a, b = x[..., : dim // 2], x[..., dim // 2 :]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def split(x, count):
        return x.reshape(len(ids), count, dim).transpose(1, 0, 2)

    x = t["model.embed_tokens.weight"].astype(np.float64)[ids]
    mask = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}"
        h = norm(f"{at}.input_layernorm", x)
        query, key, value = (linear(f"{at}.self_attn.{n}_proj", h) for n in "qkv")
        query, key, value = rotate(split(query, heads)), rotate(split(key, kv)), split(value, kv)
        key, value = np.repeat(key, heads // kv, 0), np.repeat(value, heads // kv, 0)
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(dim) + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        x = x + linear(f"{at}.self_attn.o_proj", mixed.transpose(1, 0, 2).reshape(len(ids), -1))
        h = norm(f"{at}.post_attention_layernorm", x)
        gate = linear(f"{at}.mlp.gate_proj", h)
        x = x + linear(f"{at}.mlp.down_proj", gate / (1 + np.exp(-gate)) * linear(f"{at}.mlp.up_proj", h))
    head = t["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    logits = norm("model.norm", x) @ head.astype(np.float64).T

    top = logits.max(-1, keepdims=True)
    log_probabilities = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    nll = -log_probabilities[np.arange(len(ids) - 1), ids[1:]].mean()
    print(f"{len(ids)} ids: perplexity {np.exp(nll):.4f}, negative log likelihood {nll:.6f}")
    if len(sys.argv) > 3:
        other = dict(read_safetensors(Path(sys.argv[3])))["logits"]
        print(f"logits: greatest difference {np.abs(other - logits).max() / np.abs(logits).max():.2e} of the greatest, "
              f"first choice agrees at {(other.argmax(-1) == logits.argmax(-1)).mean():.4f} of the positions")


main()
