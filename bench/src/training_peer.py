"""The same steps as training-process.ts in PyTorch: python training_peer.py bert|llama THREADS. Answers lines as that does."""
import resource, sys, time
import torch, torch.nn.functional as F

kind, threads = sys.argv[1], int(sys.argv[2])
torch.manual_seed(0); torch.set_num_threads(threads)
w = {}
def put(name, *shape, one=False): w[name] = (torch.ones(*shape) if one else 0.02 * torch.randn(*shape)).requires_grad_()
def linear(name, x): return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))
def norm(name, x): return F.layer_norm(x, (x.shape[-1],), w[name + ".weight"], w[name + ".bias"], 1e-12)
def rms(name, x): return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w[name + ".weight"]

def bert(ids, heads=12):
    B, S = ids.shape; x = norm("e.norm", w["words.weight"][ids] + w["types.weight"][torch.zeros_like(ids)] + w["places.weight"][torch.arange(S)]); H = x.shape[-1]
    for n in range(6):
        q, k, v = (linear(f"{n}.{s}", x).view(B, S, heads, H // heads).transpose(1, 2) for s in "qkv")
        a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, S, H)
        y = norm(f"{n}.norm1", linear(f"{n}.o", a) + x)
        x = norm(f"{n}.norm2", linear(f"{n}.down", F.gelu(linear(f"{n}.up", y))) + y)
    return x.mean(1)

def llama(ids, heads=4, d=64):
    B, S = ids.shape; x = w["words.weight"][ids]
    t = torch.arange(S).float()[:, None] / 10000.0 ** (torch.arange(0, d, 2).float() / d); cos, sin = torch.cat([t, t], -1).cos(), torch.cat([t, t], -1).sin()
    turn = lambda y: y * cos + torch.cat([-y[..., d // 2:], y[..., :d // 2]], -1) * sin
    for n in range(6):
        h = rms(f"{n}.norm1", x); q, k, v = (linear(f"{n}.{s}", h).view(B, S, heads, d).transpose(1, 2) for s in "qkv")
        x = x + linear(f"{n}.o", F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True).transpose(1, 2).reshape(B, S, -1))
        z = rms(f"{n}.norm2", x); x = x + linear(f"{n}.down", F.silu(linear(f"{n}.gate", z)) * linear(f"{n}.up", z))
    return F.linear(rms("norm", x), w["words.weight"]).reshape(B * S, -1)

if kind == "bert":
    H = 384; put("words.weight", 30522, H); put("places.weight", 512, H); put("types.weight", 2, H); put("e.norm.weight", H, one=True); put("e.norm.bias", H)
    for n in range(6):
        for s, to, of in [("q", H, H), ("k", H, H), ("v", H, H), ("o", H, H), ("up", 1536, H), ("down", H, 1536)]: put(f"{n}.{s}.weight", to, of); put(f"{n}.{s}.bias", to)
        for s in ("norm1", "norm2"): put(f"{n}.{s}.weight", H, one=True); put(f"{n}.{s}.bias", H)
    ids, wanted = torch.randint(1, 8000, (16, 64)), torch.randn(16, H); loss_of = lambda: F.mse_loss(bert(ids), wanted)
else:
    H = 256; put("words.weight", 8192, H); put("norm.weight", H, one=True)
    for n in range(6):
        for s, to, of in [("q", H, H), ("k", H, H), ("v", H, H), ("o", H, H), ("gate", 704, H), ("up", 704, H), ("down", H, 704)]: put(f"{n}.{s}.weight", to, of)
        for s in ("norm1", "norm2"): put(f"{n}.{s}.weight", H, one=True)
    ids, wanted = torch.randint(1, 8000, (8, 128)), torch.randint(0, 8192, (1024,)); loss_of = lambda: F.cross_entropy(llama(ids), wanted)

optimiser = torch.optim.AdamW(list(w.values()), lr=1e-4, weight_decay=0.01)
for line in sys.stdin:
    if line.strip() == "memory": print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True); continue
    began, cpu = time.time(), time.process_time()
    for _ in range(int(line)):
        loss = loss_of(); optimiser.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0); optimiser.step()
    print(1000 * (time.time() - began), 1000 * (time.process_time() - cpu), flush=True)
