"""Answers of transformers, sentence-transformers and llama.cpp for the models of test/models.

    python make_expected.py FOLDER OUT      # FOLDER holds what the packages hold, see packages.ts

Made with transformers 5.24.0, torch 2.15.0, xllamacpp 2026.10.11549 (llama.cpp b11549); minilm-1000 with sentence-transformers
2.7.0, transformers 4.40.2, torch 1.13.0, whose vectors are those of 6.2 to 7e-7. FOLDER/eval.jsonl: that of wordnet-embed.
"""
import json, math, sys
import numpy as np, torch, xllamacpp
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM

folder, out = sys.argv[1:3]
PROMPTS = ["The capital of France is", "Water boils at", "def fibonacci(n):", "The three primary colours are", "Once upon a time", "A dog is an animal that", "To make tea, first", "The opposite of hot is", "import numpy as", "My favourite book is", "The sun rises in the", "In 1969, humans first", "SELECT name FROM", "The quick brown fox", "Two plus two equals", "A triangle has", "Dear Sir or Madam,", "The largest planet is", "She opened the door and", "The recipe needs flour,", "Bonjour, je m'appelle", "for (let i = 0;", "The Pacific Ocean is", "Gravity is the force", "Photosynthesis is"]
PROMPTS += [f"{p} {n}" for p, n in zip(PROMPTS, "1 2 3 one two red blue green the a an my his her our their very quite not also then now here there so".split())]
TEXT = "The otter is a mammal that lives in rivers and by the sea. It eats fish, crabs and frogs, which it catches under water. Its fur is so dense that the skin never gets wet. Otters play: they slide down banks of mud and snow, again and again, for no reason but joy. In many countries they were hunted until few were left; since then rivers have become cleaner, and they have come back."
NEW = 24

def server(path):
    p = xllamacpp.CommonParams(); p.model.path = path; p.n_ctx = 1024; p.warmup = False; p.port = 18999
    return xllamacpp.Server(p)

def decoder(name, file, prompts, ids_of):
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32, attn_implementation="eager").eval()
    other = server(f"{folder}/{file}"); cases = []
    with torch.no_grad():
        for p in prompts:
            ids = ids_of(p); new = list(ids)
            for n in range(NEW):
                logits = model(input_ids=torch.tensor([new])).logits[0, -1]
                if n == 0: top = torch.topk(logits, 5)
                new.append(int(logits.argmax()))
            r = other.handle_completions({"prompt": ids, "temperature": 0, "max_tokens": NEW, "return_tokens": True, "ignore_eos": True, "logprobs": 0})
            text = r["choices"][0]["text"]
            cases.append({"prompt": p, "input_ids": ids, "top_ids": top.indices.tolist(), "top_logits": [round(x, 5) for x in top.values.tolist()], "greedy_ids": new[len(ids):], "llama_cpp": text})
        ids = ids_of(TEXT); logits = model(input_ids=torch.tensor([ids])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:])).item()
    json.dump({"source": "transformers in float32, the weights of the file dequantised; llama_cpp: its greedy text on the same file", "text": TEXT, "ids": ids, "perplexity": math.exp(loss), "cases": cases}, open(f"{out}/{name}.json", "w"), indent=1, ensure_ascii=False)

def tokenizer(path):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(path); return lambda s: t.encode(s).ids

if __name__ == "__main__":
    decoder("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", PROMPTS, tokenizer(f"{folder}/smollm2-tokenizer.json"))
    decoder("gemma3", "gemma-3-270m-q4_k_m.gguf", PROMPTS[:12], tokenizer(f"{folder}/gemma3-tokenizer.json"))
    st = SentenceTransformer(f"{folder}/minilm"); pairs = [json.loads(line) for line in open(f"{folder}/eval.jsonl")]
    queries, documents = (st.encode([pair[side] for pair in pairs]) for side in ("query", "document"))
    scores = queries @ documents.T; own = np.diag(scores)[:, None]
    print("recall@10", ((scores > own).sum(axis=1) < 10).mean())
    texts = PROMPTS[:10]
    json.dump({"source": "sentence-transformers in float32", "texts": texts, "embeddings": [[round(float(x), 6) for x in row] for row in st.encode(texts)]}, open(f"{out}/minilm.json", "w"))
    np.round(np.concatenate([queries[:500], documents[:500]]) * 32767).astype("<i2").tofile(f"{out}/minilm-1000.i16")
